"""Numbers of one phase of one trial, and the reasons to doubt them. Pure functions of the raw trial.

Two kinds of phases, two meanings of "achieved": where the shop is to keep up, it is what was asked in that phase and
answered well; in an overload, it is what was answered well during the phase, whenever it was asked.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from loadtests import slices
from loadtests.processes import MACHINE_BUSY, MACHINE_STOLEN
from loadtests.raw import GATEWAY, GENERATOR, RawTrial, Request
from loadtests.stats import percentile

ALL = "all"
MOST_GENERATOR_CORES = 0.8
MOST_LATE_MS = 50.0
LEAST_ACHIEVED = 0.99
MOST_STOLEN = 0.02
MOST_BUSY = 0.97
SHORTEST_TO_JUDGE_A_SLICE = 2.0
WARM_ENOUGH_FOR = 60
WARM_FACTOR = 2.0


@dataclass(frozen=True)
class PhaseResult:
    """One phase of one trial: the row that results.json has for it, and what claims can be made of."""

    experiment: str
    system: str
    replicas: dict[str, int]
    phase: str
    repeat: int
    order: int
    metrics: dict[str, dict[str, float | int | None]]
    processes: list[dict[str, Any]]
    cpu_us_per_request: float | None
    uss_bytes: int
    of_shop: dict[str, float | int | None]
    """What the shop is and uses as a whole, asked or not: cores, instances, databases, seconds to start."""
    doubts: list[str]

    def value(self, metric: str, endpoint: str) -> float | None:
        """The number of that name; None when there is none, or none that a ratio could use."""
        found: float | int | None
        if metric == "cpu_us_per_request":
            found = self.cpu_us_per_request
        elif metric == "uss_bytes":
            found = self.uss_bytes
        elif metric in self.of_shop:
            found = self.of_shop[metric]
        else:
            key = "achieved_rps" if metric == "throughput_rps" else metric
            found = self.metrics.get(endpoint, {}).get(key)
        return float(found) if found else None

    def as_trial(self) -> dict[str, Any]:
        """The documented shape, schema 1."""
        return {
            "system": self.system,
            "replicas": self.replicas,
            "repeat": self.repeat,
            "order": self.order,
            "phase": self.phase,
            "metrics": self.metrics,
            "processes": self.processes,
            "valid": not self.doubts,
            "doubts": self.doubts,
        }


def measure(trial: RawTrial) -> list[PhaseResult]:
    """All recorded phases of a trial."""
    return [_phase(trial, index) for index in trial.recorded()]


def _phase(trial: RawTrial, index: int) -> PhaseResult:
    phase, (begin, end) = trial.phases[index], trial.window(index)
    asked = [request for request in trial.requests if request.phase == index]
    inside = [(request, _share(request, begin, end)) for request in trial.requests if request.status]
    answered = sum(share for _, share in inside)
    cores = {name: usage.cores(begin, end) for name, usage in trial.usage.items()}
    memory = {name: usage.memory(begin, end) for name, usage in trial.usage.items()}
    shop = [*trial.replicas, GATEWAY]
    used = sum(cores[name] for name in shop) * (end - begin)
    return PhaseResult(
        experiment=phase.experiment,
        system=trial.facts["system"],
        replicas=trial.facts["replicas"],
        phase=phase.name,
        repeat=trial.facts["repeat"],
        order=trial.facts["order"],
        metrics=_metrics(asked, inside, phase.seconds, overload=phase.overload),
        processes=[
            {
                "name": name,
                "slice": phase.slice_cores if name in trial.replicas else None,
                "cpu_cores": round(cores[name], 4),
                "uss_bytes": memory[name],
            }
            for name in (*shop, GENERATOR)
        ],
        cpu_us_per_request=used / answered * 1e6 if answered else None,
        uss_bytes=sum(memory[name] for name in shop),
        of_shop={
            "cpu_cores": used / (end - begin),
            "instances": len(shop),
            "databases": trial.facts.get("databases"),  # runs from before it was counted have none
            "ready_seconds": trial.facts.get("ready_seconds"),
        },
        doubts=list(_doubts(trial, index, asked, cores)),
    )


def _share(request: Request, begin: float, end: float) -> float:
    """How much of a request was worked on between two moments.

    Counting whole answers would be off by up to all that are under way at both ends: at four at a time and twenty
    answers a second that is a tenth of a short phase.
    """
    if request.start is None or request.end <= begin or request.start >= end:
        return 0.0
    if request.end == request.start:  # quicker than the log's microsecond
        return 1.0
    return (min(request.end, end) - max(request.start, begin)) / (request.end - request.start)


def _metrics(
    asked: Iterable[Request], inside: Iterable[tuple[Request, float]], seconds: float, *, overload: bool
) -> dict[str, dict[str, float | int | None]]:
    """Per route, and for `all` of them."""
    of_phase: dict[str, list[Request]] = defaultdict(list)
    in_time: dict[str, float] = defaultdict(float)
    for request in asked:
        of_phase[request.route].append(request)
        of_phase[ALL].append(request)
    for request, share in inside:
        in_time[request.route] += share * request.ok
        in_time[ALL] += share * request.ok
    metrics: dict[str, dict[str, float | int | None]] = {}
    for route, requests in sorted(of_phase.items()):
        started = [request for request in requests if request.start is not None]
        latencies = [request.latency_ms for request in started]
        good = in_time[route] if overload else sum(request.ok for request in started)
        metrics[route] = {
            "asked_rps": round(len(requests) / seconds, 4),
            "achieved_rps": round(good / seconds, 4),
            "errors": sum(not request.ok for request in started),
            **{
                f"p{share}_ms": round(percentile(latencies, share / 100), 3) if latencies else None
                for share in (50, 95, 99)
            },
            "count": len(started),
        }
    return metrics


def _doubts(trial: RawTrial, index: int, asked: Sequence[Request], cores: dict[str, float]) -> Iterable[str]:
    """Why this phase cannot be trusted; each is a reason to repeat the trial."""
    if trial.facts["died"]:
        yield f"a process ended during the trial: {', '.join(trial.facts['died'])}"
    yield from _blind(asked, cores[GENERATOR])
    if not trial.phases[index].overload:
        if asked or any(trial.phases[index].rates.values()):
            yield from _left_undone(asked)
        yield from _cold(asked)
    yield from _broken_slices(trial, index, cores)
    yield from _crowded(trial.facts["cores"], cores)


def _blind(asked: Sequence[Request], generator_cores: float) -> Iterable[str]:
    """A generator that had too little CPU measures itself."""
    if generator_cores > MOST_GENERATOR_CORES:
        yield f"the generator used {generator_cores:.2f} cores and may have been the slow one"
    late = [(r.start - r.intended) * 1000 for r in asked if r.start is not None]
    if late and percentile(late, 0.99) > MOST_LATE_MS:
        yield f"the generator was {percentile(late, 0.99):.0f} ms late (p99): it had too little CPU"


def _left_undone(asked: Sequence[Request]) -> Iterable[str]:
    share = sum(request.ok for request in asked) / len(asked) if asked else 0.0
    if share < LEAST_ACHIEVED:
        yield f"only {share:.1%} of what was asked was answered well"


def _broken_slices(trial: RawTrial, index: int, cores: dict[str, float]) -> Iterable[str]:
    phase = trial.phases[index]
    if trial.facts["slice_backend"] == "none" or phase.seconds < SHORTEST_TO_JUDGE_A_SLICE:
        return
    for name in trial.replicas:
        saturated = name.rsplit("-", 1)[0] in phase.saturates
        if broken := slices.doubt(name, phase.slice_cores, cores[name], saturated=saturated):
            yield broken


def _crowded(machine: int, cores: dict[str, float]) -> Iterable[str]:
    """Somebody else's work, on this machine or on the one below it."""
    if cores[MACHINE_STOLEN] > MOST_STOLEN * machine:
        yield f"the hypervisor took {cores[MACHINE_STOLEN]:.2f} cores away"
    if cores[MACHINE_BUSY] > MOST_BUSY * machine:
        yield f"the whole machine was busy ({cores[MACHINE_BUSY]:.2f} of {machine} cores)"


def _cold(asked: Sequence[Request]) -> Iterable[str]:
    """Warm-up not over: the first half of a steady phase was much slower than the second, route by route."""
    waits: dict[str, list[float]] = defaultdict(list)
    started = sorted((r for r in asked if r.start is not None), key=lambda r: r.intended)
    for request in started:
        waits[request.route].append(request.latency_ms)
    if len(started) < WARM_ENOUGH_FOR:
        return
    usual = {route: percentile(latencies, 0.5) for route, latencies in waits.items()}
    # Against the route's own median: otherwise a half with more of the slow routes would look cold.
    relative = [request.latency_ms / usual[request.route] for request in started]
    middle = len(relative) // 2
    times = percentile(relative[:middle], 0.5) / percentile(relative[middle:], 0.5)
    if times > WARM_FACTOR:
        yield f"it was still warming up: the first half took {times:.1f} times as long as the second"
