"""The unit of each metric, and how an amount of it reads in a sentence and in a table."""

UNITS = {
    "throughput_rps": "requests/s",
    "p50_ms": "ms",
    "p95_ms": "ms",
    "p99_ms": "ms",
    "cpu_us_per_request": "µs",
    "uss_bytes": "bytes",
    "cpu_cores": "cores",
    "instances": "instances",
    "databases": "databases",
    "ready_seconds": "s",
    "answered_share": "share",
    "capacity_rps": "visits/s",
    "restarted": "instances",
    "action_seconds": "s",
    "added_bytes": "bytes",
    "lines": "lines",
    "lines_per_unit": "lines",
    "test_seconds_per_unit": "s",
}
PLAIN = {"bytes": "MB", "share": "%"}
"""Units that people read in another one."""
FACTORS = {"bytes": 1e-6, "share": 100.0}


def plain(value: float, unit: str) -> float:
    """The value in the unit that people read."""
    return value * FACTORS.get(unit, 1.0)


def amount(value: float, unit: str | None) -> str:
    """A value with its unit; without one it is a ratio."""
    if unit is None:
        return f"{value:.2f}"
    return f"{plain(value, unit):.{1 if unit == 'share' else 2}f} {PLAIN.get(unit, unit)}"
