"""The result of one phase of one trial: its row in results.json, and the numbers that claims are made of."""

from dataclasses import dataclass, field
from typing import Any

from loadtests.analysis.numbers import Number
from loadtests.analysis.routes import SHARES, RouteNumbers, latency, succeeded
from loadtests.planning.capacity import Bracket

SHARE_METRICS = {"answered_share", "in_time_share"}
OPTIONAL = ("id", "products", "route", "rate", "elasticity", "core_speed")


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
    """Reasons to void the phase, all from outside the shop; empty for a valid one."""
    route: dict[str, str | int] | None = None
    """What the gateway does with one path of a monolith, where it has such a rule."""
    elasticity: dict[str, float] | None = None
    """How well the replicas followed demand (`loadtests.analysis.elasticity`), in a phase in which they do."""
    core_speed: float | None = None
    """From `yardstick.core_speed` before the trial; None in trials of versions without it."""
    attempt: tuple[str, int] | None = None
    """Group and attempt number, equal for all trials that took turns; None for a trial on its own."""
    remarks: list[str] = field(default_factory=list)
    """What the shop did that a reader has to know. It counts, because it is a result."""
    cpu_known: tuple[float, float] = (1.0, 1.0)
    """The least and the most that the shop's CPU may be, as factors: kubelets read pods only now and then."""
    capacity: Bracket | None = None
    """The result of a search, in the one result that stands for it."""

    def value(self, metric: str, endpoint: str) -> float | None:
        """The number of that name; None if it is missing, or 0, which a ratio cannot use."""
        found = self.number(metric, endpoint)
        return found.value if found else None

    def number(self, metric: str, endpoint: str) -> Number | None:
        """The same with its ends, which are apart where it is only a bound.

        A shop without any successful request has numbers too; without them it would drop out of a ratio that it lost.
        Its throughput is less than one request per phase, and its CPU per request is more than all its CPU.
        """
        if metric == "cpu_us_per_request":
            if self.cpu_us_per_request is None and self.metrics:
                cpu_us = float(self.of_shop["cpu_cores"] or 0) * self.seconds * 1e6
                return Number.at_least(cpu_us) if cpu_us else None
            return self._cpu(self.cpu_us_per_request)
        if metric == "uss_bytes":
            return _positive(self.uss_bytes)
        if metric in self.of_shop:
            found = self.of_shop[metric]
            return self._cpu(found) if metric == "cpu_cores" else _positive(found)
        if metric == "capacity_rps":
            return _capacity(self.capacity)
        return self._of_route(metric, endpoint)

    def _cpu(self, value: float | None) -> Number | None:
        low, high = self.cpu_known
        return Number(value, value * low, value * high) if value else None

    def counts(self, metric: str, endpoint: str) -> tuple[int, int, int] | None:
        """Of a share: its successes, those that may be successes (cut off), and all requests. None without requests."""
        numbers = self.metrics.get(endpoint)
        if numbers is None:
            return None
        successes, requests = succeeded(numbers)
        if metric == "in_time_share":
            return numbers["in_time"], numbers["maybe_in_time"], requests
        return successes, numbers["cut"], requests

    def _of_route(self, metric: str, endpoint: str) -> Number | None:
        numbers = self.metrics.get(endpoint)
        if numbers is None:
            return None
        if metric in SHARE_METRICS:
            return _share(self.counts(metric, endpoint))
        if metric == "throughput_rps":
            return _positive(numbers["achieved_rps"]) or Number.at_most(1 / self.seconds)
        return latency(numbers, metric) if metric in SHARES and numbers[metric] else None

    def as_trial(self) -> dict[str, Any]:
        """The entry in `trials` of results.json, schema 3."""
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
            "remarks": self.remarks,
        }


def _positive(value: float | None) -> Number | None:
    return Number.exact(float(value)) if value else None


def _share(counts: tuple[int, int, int] | None) -> Number | None:
    """The share with half a request more on either side (J. B. S. Haldane, Annals of Human Genetics 20, 1956).

    So a ratio of shares exists where one is 0.
    """
    if counts is None:
        return None
    successes, unknown, requests = counts
    low, high = ((each + 0.5) / (requests + 1) for each in (successes, successes + unknown))
    return Number(low, low, high)


def _capacity(bracket: Bracket | None) -> Number | None:
    """A search in which no rate was kept, or none was broken, has a bound and no missing value."""
    if bracket is None or not (bracket.low or bracket.high):
        return None
    if bracket.high is None:
        return Number.at_least(bracket.low)
    return Number.between(bracket.low, bracket.high) if bracket.low else Number.at_most(bracket.high)
