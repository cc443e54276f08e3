"""Reasons to void a phase of a trial: signs that it did not measure the shop. Pure.

A phase with a reason is left out, and its trial is repeated, at most twice. A slow or failing shop is not a reason in
an overload. In other phases the shop must keep up; if it does not, the phase measured an unintended overload.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loadtests.analysis.raw import RawTrial, Request, service_of
from loadtests.analysis.records import GENERATOR, MACHINE_BUSY, MACHINE_STOLEN, MAX_GENERATOR_CORES
from loadtests.analysis.summaries import percentile
from loadtests.planning.phases import PlannedPhase

MAX_LATE_MS = 50.0
MIN_ACHIEVED = 0.99
MAX_STOLEN = 0.02
"""Share of the machine. Above it, whole trials were a third slower with their slices kept (docs/experiments.md)."""
MAX_BUSY = 0.97
SLICE_TOLERANCE = 0.10
MIN_SECONDS_TO_JUDGE_SLICE = 2.0
MIN_REQUESTS_TO_JUDGE_WARM_UP = 60
WARM_FACTOR = 2.0


def reasons_to_void(
    trial: RawTrial, turns: Sequence[int], requests: Sequence[Request], cores: Mapping[str, float]
) -> Iterable[str]:
    """The reasons, as sentences, for the phase that consists of `turns`, given its requests and the cores in use."""
    phase = trial.merged(turns)
    for done in trial.facts.get("done", ()):
        if done["phase"] in turns and done["failed"]:
            yield f"{done['what']} of {done['service']} failed: {done['failed']}"
    if trial.facts["died"]:
        yield f"a process ended during the trial: {', '.join(trial.facts['died'])}"
    yield from _slow_generator(requests, cores[GENERATOR])
    if not phase.overload:
        if requests or any(phase.rates.values()):
            yield from _failures(requests)
        yield from _warming_up(requests)
    yield from _broken_slices(trial, phase, cores)
    yield from _busy_machine(trial.facts, cores)


def _slow_generator(requests: Sequence[Request], generator_cores: float) -> Iterable[str]:
    """A generator with too little CPU measures itself."""
    if generator_cores > MAX_GENERATOR_CORES:
        yield f"the generator used {generator_cores:.2f} cores and may have been the bottleneck"
    late = [(r.start - r.intended) * 1000 for r in requests if r.start is not None]
    if late and percentile(late, 0.99) > MAX_LATE_MS:
        yield f"the generator was {percentile(late, 0.99):.0f} ms late (p99): it had too little CPU"


def _failures(requests: Sequence[Request]) -> Iterable[str]:
    share = sum(request.ok for request in requests) / len(requests) if requests else 0.0
    if share < MIN_ACHIEVED:
        yield f"only {share:.1%} of all requests succeeded"


def _broken_slices(trial: RawTrial, phase: PlannedPhase, cores: Mapping[str, float]) -> Iterable[str]:
    if trial.facts["slice_backend"] == "none" or phase.seconds < MIN_SECONDS_TO_JUDGE_SLICE:
        return
    for name in trial.replicas:
        service = service_of(name)
        if phase.action and phase.action.service == service:
            continue  # an action started, stopped or slowed it in this phase
        slice_cores, saturated = phase.cores_of(service), service in phase.saturates
        if broken := slice_doubt(name, slice_cores, cores[name], saturated=saturated):
            yield broken


def slice_doubt(name: str, cores: float, used_cores: float, *, saturated: bool) -> str | None:
    """Why this slice was not kept, or None. It may be exceeded by 10 %; if `saturated`, it must be used up to 10 %."""
    if used_cores > cores * (1 + SLICE_TOLERANCE):
        return f"{name} used {used_cores:.3f} cores, more than its slice of {cores:g}"
    if saturated and used_cores < cores * (1 - SLICE_TOLERANCE):
        return f"{name} should be saturated, but used {used_cores:.3f} cores of its slice of {cores:g}"
    return None


def _busy_machine(facts: Mapping[str, Any], cores: Mapping[str, float]) -> Iterable[str]:
    """Other work on this machine, or on the host of this virtual machine."""
    machine = facts["cores"]
    ours = sum(used for name, used in cores.items() if name not in {MACHINE_BUSY, MACHINE_STOLEN})
    # With a quota, others may use the cores that it keeps from us, and we may use no more than it allows.
    busy = max(ours, cores[MACHINE_BUSY] - facts.get("cores_beyond_quota", 0.0))
    if cores[MACHINE_STOLEN] > MAX_STOLEN * machine:
        yield f"the hypervisor took {cores[MACHINE_STOLEN]:.2f} cores away"
    if busy > MAX_BUSY * machine:
        yield f"the whole machine was busy ({busy:.2f} of {machine:g} cores)"


def _warming_up(requests: Sequence[Request]) -> Iterable[str]:
    """The warm-up was too short: in a steady phase the first half was much slower than the second, by route."""
    waits: dict[str, list[float]] = defaultdict(list)
    started = sorted((r for r in requests if r.start is not None), key=lambda r: r.intended)
    for request in started:
        waits[request.route].append(request.latency_ms)
    if len(started) < MIN_REQUESTS_TO_JUDGE_WARM_UP:
        return
    median = {route: percentile(latencies, 0.5) for route, latencies in waits.items()}
    # Relative to the median of the route; otherwise a half with more requests to slow routes would look cold.
    relative = [request.latency_ms / median[request.route] for request in started]
    middle = len(relative) // 2
    times = percentile(relative[:middle], 0.5) / percentile(relative[middle:], 0.5)
    if times > WARM_FACTOR:
        yield f"it was still warming up: the first half took {times:.1f} times as long as the second"
