"""Reasons to void a phase of a trial: whatever says that it measured something else than the shop. Pure.

A phase with a reason is left out, and its trial repeated, at most twice. A shop that is slow or fails is no reason,
but where it was to keep up and did not, what is measured there is an overload that nobody asked for.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from loadtests.analysis.raw import RawTrial, Request, service_of
from loadtests.analysis.records import GENERATOR, MACHINE_BUSY, MACHINE_STOLEN, MAX_GENERATOR_CORES
from loadtests.analysis.summaries import percentile
from loadtests.planning.phases import PlannedPhase

MAX_LATE_MS = 50.0
LEAST_ACHIEVED = 0.99
MAX_STOLEN = 0.02
"""Share of the machine. Above it whole trials ran a third slower with their slices kept (docs/experiments.md)."""
MAX_BUSY = 0.97
SLICE_TOLERANCE = 0.10
SHORTEST_TO_JUDGE_A_SLICE = 2.0
WARM_ENOUGH_FOR = 60
WARM_FACTOR = 2.0


def reasons_to_void(
    trial: RawTrial, turns: Sequence[int], asked: Sequence[Request], cores: Mapping[str, float]
) -> Iterable[str]:
    """Why the phase of these indexes cannot be trusted, given what was asked in it and the cores that were used."""
    phase = trial.whole(turns)
    for done in trial.facts.get("done", ()):
        if done["phase"] in turns and done["failed"]:
            yield f"{done['what']} of {done['service']} could not be done: {done['failed']}"
    if trial.facts["died"]:
        yield f"a process ended during the trial: {', '.join(trial.facts['died'])}"
    yield from _blind(asked, cores[GENERATOR])
    if not phase.overload:
        if asked or any(phase.rates.values()):
            yield from _left_undone(asked)
        yield from _cold(asked)
    yield from _broken_slices(trial, phase, cores)
    yield from _crowded(trial.facts["cores"], cores)


def _blind(asked: Sequence[Request], generator_cores: float) -> Iterable[str]:
    """A generator that had too little CPU measures itself."""
    if generator_cores > MAX_GENERATOR_CORES:
        yield f"the generator used {generator_cores:.2f} cores and may have been the slow one"
    late = [(r.start - r.intended) * 1000 for r in asked if r.start is not None]
    if late and percentile(late, 0.99) > MAX_LATE_MS:
        yield f"the generator was {percentile(late, 0.99):.0f} ms late (p99): it had too little CPU"


def _left_undone(asked: Sequence[Request]) -> Iterable[str]:
    share = sum(request.ok for request in asked) / len(asked) if asked else 0.0
    if share < LEAST_ACHIEVED:
        yield f"only {share:.1%} of what was asked was answered well"


def _broken_slices(trial: RawTrial, phase: PlannedPhase, cores: Mapping[str, float]) -> Iterable[str]:
    if trial.facts["slice_backend"] == "none" or phase.seconds < SHORTEST_TO_JUDGE_A_SLICE:
        return
    for name in trial.replicas:
        service = service_of(name)
        if phase.action and phase.action.service == service:
            continue  # started, stopped or held back in this phase
        slice_cores, saturated = phase.cores_of(service), service in phase.saturates
        if broken := slice_doubt(name, slice_cores, cores[name], saturated=saturated):
            yield broken


def slice_doubt(name: str, cores: float, used_cores: float, *, saturated: bool) -> str | None:
    """Why this slice was not kept, or None: within 10 % when saturated, never more than 10 % above."""
    if used_cores > cores * (1 + SLICE_TOLERANCE):
        return f"{name} used {used_cores:.3f} cores, more than its slice of {cores:g}"
    if saturated and used_cores < cores * (1 - SLICE_TOLERANCE):
        return f"{name} was to be saturated and used {used_cores:.3f} cores of its slice of {cores:g}"
    return None


def _crowded(machine: int, cores: Mapping[str, float]) -> Iterable[str]:
    """Somebody else's work, on this machine or on the one below it."""
    if cores[MACHINE_STOLEN] > MAX_STOLEN * machine:
        yield f"the hypervisor took {cores[MACHINE_STOLEN]:.2f} cores away"
    if cores[MACHINE_BUSY] > MAX_BUSY * machine:
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
