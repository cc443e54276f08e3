"""The registry of metrics: what a claim or a chart can speak of, with its unit, its name and which direction is better.

Code joins numbers by the key; people read the words.
"""

from dataclasses import dataclass
from typing import Literal

Better = Literal["less", "more", "neither"]
Source = Literal["requests", "processes", "shop", "code", "search", "action"]


@dataclass(frozen=True)
class Metric:
    """One kind of number. `source` says what it is read from; `code` metrics are facts of the code, not of a run."""

    key: str
    unit: str
    words: str
    better: Better
    source: Source


METRICS = {
    metric.key: metric
    for metric in (
        Metric("throughput_rps", "requests/s", "throughput", "more", "requests"),
        Metric("p50_ms", "ms", "median latency", "less", "requests"),
        Metric("p95_ms", "ms", "95th percentile of latency", "less", "requests"),
        Metric("p99_ms", "ms", "99th percentile of latency", "less", "requests"),
        Metric("answered_share", "share", "share answered", "more", "requests"),
        Metric("cpu_us_per_request", "µs", "CPU per request", "less", "processes"),
        Metric("cpu_cores", "cores", "CPU in use", "less", "processes"),
        Metric("uss_bytes", "bytes", "memory", "less", "processes"),
        Metric("instances", "instances", "replicas and gateway", "less", "processes"),
        Metric("databases", "databases", "databases", "less", "shop"),
        Metric("ready_seconds", "s", "seconds to start", "less", "shop"),
        Metric("capacity_rps", "visits/s", "capacity", "more", "search"),
        Metric("restarted", "instances", "processes that restart", "less", "action"),
        Metric("action_seconds", "s", "seconds of the action", "less", "action"),
        Metric("added_bytes", "bytes", "memory of what was added", "less", "action"),
        Metric("lines", "lines", "lines of code", "less", "code"),
        Metric("lines_per_unit", "lines", "lines of code per deployable unit", "less", "code"),
        Metric("test_seconds_per_unit", "s", "seconds of tests per deployable unit", "less", "code"),
    )
}

ALL = "all"
"""The endpoint that stands for all requests of a phase."""
PLAIN = {"bytes": "MB", "share": "%"}
"""Units that people read in another one."""
FACTORS = {"bytes": 1e-6, "share": 100.0}


def of_source(*sources: Source) -> list[str]:
    """The keys of the metrics that are read from there."""
    return [metric.key for metric in METRICS.values() if metric.source in sources]


def name(metric: str, endpoint: str, phase: str) -> str:
    """What a measurement is called for people: `median latency, all requests, quiet`."""
    of = "all requests" if endpoint == ALL else endpoint
    return ", ".join((METRICS[metric].words, *((of,) if METRICS[metric].source == "requests" else ()), phase))


def plain(value: float, unit: str) -> float:
    """The value in the unit that people read."""
    return value * FACTORS.get(unit, 1.0)


def amount(value: float, unit: str | None) -> str:
    """A value with its unit; without one it is a ratio."""
    if unit is None:
        return f"{value:.2f}"
    return f"{plain(value, unit):.{1 if unit == 'share' else 2}f} {PLAIN.get(unit, unit)}"
