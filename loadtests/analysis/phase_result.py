"""The result of one phase of one trial: its row in results.json, and the numbers that claims are made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loadtests.analysis.routes import RouteNumbers, bounded, succeeded
from loadtests.analysis.stats import Number

OPTIONAL = ("products", "rate", "core_speed")


@dataclass(frozen=True)
class PhaseResult:
    """The numbers of one phase of one trial."""

    experiment: str
    system: str
    replicas: dict[str, int]
    id: str | None
    """The system's id in its experiment; None in trials of versions without ids."""
    products: int | None
    rate: float | None
    """The rate of a search's probe in visits per second; None outside of searches."""
    phase: str
    seconds: float
    repeat: int
    order: int
    metrics: dict[str, RouteNumbers]
    processes: list[dict[str, Any]]
    cpu_us_per_request: float | None
    uss_bytes: int
    of_shop: dict[str, float | int | None]
    """Numbers of the whole shop, which need no requests: CPU cores, instances, databases, seconds to start."""
    doubts: list[str]
    """Reasons to void the phase; empty for a valid one."""
    core_speed: float | None = None
    """From `yardstick.core_speed` before the trial; None in trials of versions without it."""
    attempt: tuple[str, int] | None = None
    """Group and attempt number, equal for all trials that took turns; None for a trial on its own."""

    def value(self, metric: str, endpoint: str) -> float | None:
        """The number of that name; None if it is missing, or 0, which a ratio cannot use."""
        found = self.number(metric, endpoint)
        return found.value if found else None

    def number(self, metric: str, endpoint: str) -> Number | None:
        """The same, and whether it is only a bound.

        A shop without any successful request has numbers too; without them it would drop out of a ratio that it lost.
        Its throughput is less than one request per phase, and its CPU per request is more than all its CPU.
        """
        if metric == "cpu_us_per_request":
            if self.cpu_us_per_request is None and self.metrics:
                cpu_us = float(self.of_shop["cpu_cores"] or 0) * self.seconds * 1e6
                return _positive(cpu_us, lower_bound=True)
            return _positive(self.cpu_us_per_request)
        if metric == "uss_bytes":
            return _positive(self.uss_bytes)
        if metric in self.of_shop:
            return _positive(self.of_shop[metric])
        return self._of_route(metric, self.metrics.get(endpoint))

    def _of_route(self, metric: str, numbers: Mapping[str, float | int | None] | None) -> Number | None:
        if numbers is None:
            return None
        if metric == "answered_share":
            successes, requests = succeeded(numbers)
            # Half a request more on either side (Haldane 1956), so that a ratio of shares exists where one is 0.
            return Number((successes + 0.5) / (requests + 1))
        if metric == "throughput_rps":
            return _positive(numbers["achieved_rps"]) or Number(1 / self.seconds, upper_bound=True)
        return _positive(numbers.get(metric), lower_bound=metric in bounded(numbers))

    def as_trial(self) -> dict[str, Any]:
        """The entry in `trials` of results.json, schema 2."""
        return {
            "system": self.system,
            "replicas": self.replicas,
            **{key: getattr(self, key) for key in OPTIONAL if getattr(self, key) is not None},
            "repeat": self.repeat,
            "order": self.order,
            "phase": self.phase,
            "metrics": self.metrics,
            "processes": self.processes,
            "valid": not self.doubts,
            "doubts": self.doubts,
        }


def _positive(value: float | None, *, lower_bound: bool = False) -> Number | None:
    return Number(float(value), lower_bound=lower_bound) if value else None
