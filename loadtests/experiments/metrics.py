"""The registry of metrics: everything that a claim or a chart can be about.

Code joins numbers by the key. People read the words and the unit.
"""

from dataclasses import dataclass
from typing import Literal

MARGIN = 1.5
"""A factor that people pay for (docs/decisions/0027)."""
NARROW_MARGIN = 1.1
"""Of throughput and CPU, which are measured to a few per cent, and which a bill is made of."""
Better = Literal["less", "more", "neither"]
Source = Literal["requests", "processes", "shop", "code", "search", "action", "bill"]


@dataclass(frozen=True)
class Metric:
    """One kind of number. `source` says where it comes from; `code` metrics describe the code and not a run."""

    key: str
    unit: str
    words: str
    better: Better
    source: Source
    margin: float = MARGIN
    """The sides of a ratio are "no winner" when they are shown to be less than this factor apart."""


METRICS = {
    metric.key: metric
    for metric in (
        Metric("throughput_rps", "requests/s", "throughput", "more", "requests", NARROW_MARGIN),
        Metric("p50_ms", "ms", "median latency", "less", "requests"),
        Metric("p95_ms", "ms", "95th percentile of latency", "less", "requests"),
        Metric("p99_ms", "ms", "99th percentile of latency", "less", "requests"),
        Metric("answered_share", "share", "success rate", "more", "requests"),
        Metric("in_time_share", "share", "share served in the promised time", "more", "requests"),
        Metric("cpu_us_per_request", "µs", "CPU per request", "less", "processes", NARROW_MARGIN),
        Metric("cpu_cores", "cores", "CPU in use", "less", "processes", NARROW_MARGIN),
        Metric("uss_bytes", "bytes", "memory", "less", "processes"),
        Metric("handles", "handles", "open files and connections", "less", "processes"),
        Metric("threads", "threads", "threads", "less", "processes"),
        Metric("instances", "instances", "replicas and gateway", "less", "processes"),
        Metric("databases", "databases", "databases", "less", "shop"),
        Metric("ready_seconds", "s", "start time", "less", "shop"),
        Metric("capacity_rps", "visits/s", "capacity", "more", "search"),
        Metric("restarted", "instances", "replicas that restarted", "less", "action"),
        Metric("action_seconds", "s", "duration of the action", "less", "action"),
        Metric("added_bytes", "bytes", "memory of the new replicas", "less", "action"),
        Metric("replica_seconds", "replica-s", "replica-seconds", "less", "bill"),
        Metric("memory_seconds", "GB-s", "memory-seconds", "less", "bill"),
        Metric("first_replica_seconds", "s", "time until one more replica was ready", "less", "bill"),
        Metric("lines", "lines", "lines of code", "less", "code"),
        Metric("lines_per_unit", "lines", "lines of code per deployable unit", "less", "code"),
        Metric("test_seconds_per_unit", "s", "test time per deployable unit", "less", "code"),
    )
}

ALL = "all"
"""The endpoint that stands for all requests of a phase."""
ALL_IN_WORDS = "all requests"
SHOWN_UNITS = {"bytes": "MB", "share": "%"}
"""Units that are shown to people as another unit."""
FACTORS = {"bytes": 1e-6, "share": 100.0}


def keys_from(*sources: Source) -> list[str]:
    """The keys of the metrics that come from these sources."""
    return [metric.key for metric in METRICS.values() if metric.source in sources]


def name(metric: str, endpoint: str, phase: str) -> str:
    """The name of a measurement for people: `median latency, all requests, quiet`."""
    of = ALL_IN_WORDS if endpoint == ALL else endpoint
    return ", ".join((METRICS[metric].words, *((of,) if METRICS[metric].source == "requests" else ()), phase))


def to_shown_unit(value: float, unit: str) -> float:
    """The value in the unit that is shown to people: bytes become MB, shares become per cent."""
    return value * FACTORS.get(unit, 1.0)


def amount(value: float, unit: str | None) -> str:
    """The value as text with the shown unit; without a unit it is a ratio."""
    if unit is None:
        return f"{value:.2f}"
    return f"{to_shown_unit(value, unit):.{1 if unit == 'share' else 2}f} {SHOWN_UNITS.get(unit, unit)}"
