"""Reasons to void a phase of a trial: signs that it did not measure the shop. Pure.

A phase with a reason is left out, and its trial is repeated, at most twice. What is easy to get wrong: every reason
has to come from outside the shop. Where trials in which the shop failed are repeated until it does not, the result is
selected (docs/decisions/0028). What the shop did is a remark (`loadtests.analysis.remarks`), and counts.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from loadtests.analysis.raw import RawTrial, Request, service_of
from loadtests.analysis.records import (
    GENERATOR,
    MACHINE_BUSY,
    MACHINE_STOLEN,
    MAX_GENERATOR_CORES,
)
from loadtests.analysis.summaries import percentile

MAX_LATE_MS = 50.0
MAX_STOLEN = 0.02
"""Share of the machine. Above it, whole trials were a third slower with their slices kept (docs/experiments.md)."""
MAX_BUSY = 0.97
SLICE_TOLERANCE = 0.10
MIN_SECONDS_TO_JUDGE_SLICE = 2.0
MIN_STOPS_PER_SECOND = 2.0
"""A replica that wants more than its slice is stopped in nearly every period, 50 times a second."""
MAX_OTHERS = 0.10
"""Share of the machine. The lab's own observation of ten processes uses some per cent."""


def reasons_to_void(
    trial: RawTrial, turns: Sequence[int], requests: Sequence[Request], cores: Mapping[str, float]
) -> Iterable[str]:
    """The reasons, as sentences, for the phase that consists of `turns`, given its requests and the cores in use."""
    phase = trial.merged(turns)
    for done in trial.facts.get("done", ()):
        if done["phase"] in turns and done["failed"]:
            yield f"{done['what']} of {done['service']} failed: {done['failed']}"
    # Its processes share the visits evenly; the one that leads several of them has nearly nothing to do.
    yield from _slow_generator(requests, cores[GENERATOR] / trial.facts.get("generator_processes", 1))
    if not requests and any(phase.rates.values()):
        yield "the generator has no row of any visit"
    yield from _broken_slices(trial, turns, cores)
    yield from _busy_machine(trial, cores)


def _slow_generator(requests: Sequence[Request], cores: float) -> Iterable[str]:
    """A generator with too little CPU measures itself. `cores` are those that each of its processes used."""
    if cores > MAX_GENERATOR_CORES:
        yield f"the generator used {cores:.2f} cores and may have been the bottleneck"
    late = [(r.start - r.intended) * 1000 for r in requests if r.start is not None]
    if late and percentile(late, 0.99) > MAX_LATE_MS:
        yield f"the generator was {percentile(late, 0.99):.0f} ms late (p99): it had too little CPU"


def _broken_slices(trial: RawTrial, turns: Sequence[int], cores: Mapping[str, float]) -> Iterable[str]:
    phase = trial.merged(turns)
    if trial.facts["slice_backend"] == "none" or phase.seconds < MIN_SECONDS_TO_JUDGE_SLICE:
        return
    for name in trial.replicas:
        service = service_of(name)
        if phase.action and phase.action.service == service:
            continue  # an action started, stopped or slowed it in this phase
        if phase.follow and trial.facts.get("followed", {}).get("service") == service:
            continue  # its replicas come and go, and a replica that starts has no slice yet
        slice_cores = phase.cores_of(service)
        saturated = service in phase.saturates and not left_unused(trial, name, turns)
        if broken := slice_doubt(name, slice_cores, cores[name], saturated=saturated):
            yield broken


def left_unused(trial: RawTrial, name: str, turns: Sequence[int]) -> bool:
    """Whether the slice hardly ever stopped the replica, so that it could have used more. Not known: no."""
    held = trial.usage[name].held_per_second([trial.window(index) for index in turns])
    return held.get("throttled_periods", math.inf) < MIN_STOPS_PER_SECOND


def slice_doubt(name: str, cores: float, used_cores: float, *, saturated: bool) -> str | None:
    """Why this slice was not kept, or None. It may be exceeded by 10 %; if `saturated`, it must be used up to 10 %."""
    if used_cores > cores * (1 + SLICE_TOLERANCE):
        return f"{name} used {used_cores:.3f} cores, more than its slice of {cores:g}"
    if saturated and used_cores < cores * (1 - SLICE_TOLERANCE):
        return f"{name} should be saturated, but used {used_cores:.3f} cores of its slice of {cores:g}"
    return None


def others_cores(trial: RawTrial, cores: Mapping[str, float]) -> float:
    """The cores that neither the shop with its gateway nor the generator used, of those that we may use."""
    return _busy_cores(trial, cores) - _own_cores(cores)


def machine_full(trial: RawTrial, cores: Mapping[str, float]) -> bool:
    """Whether all cores that we may use were busy, so that processes waited for one.

    No for a shop in a cluster: its pods may have other cores, and nobody tells us of other work on them.
    """
    return not trial.facts.get("engine") and bool(_busy_cores(trial, cores) > MAX_BUSY * trial.facts["cores"])


def _own_cores(cores: Mapping[str, float]) -> float:
    return sum(used for name, used in cores.items() if name not in {MACHINE_BUSY, MACHINE_STOLEN})


def _busy_cores(trial: RawTrial, cores: Mapping[str, float]) -> float:
    # With a quota, others may use the cores that it keeps from us, and we may use no more than it allows.
    beyond: float = trial.facts.get("cores_beyond_quota", 0.0)
    return max(_own_cores(cores), cores[MACHINE_BUSY] - beyond)


def _busy_machine(trial: RawTrial, cores: Mapping[str, float]) -> Iterable[str]:
    """Other work on this machine, or on the host of this virtual machine. A shop that fills it alone is a result."""
    machine = trial.facts["cores"]
    if cores[MACHINE_STOLEN] > MAX_STOLEN * machine:
        yield f"the hypervisor took {cores[MACHINE_STOLEN]:.2f} cores away"
    others = others_cores(trial, cores)
    if machine_full(trial, cores) and others > MAX_OTHERS * machine:
        yield f"the whole machine was busy, {others:.2f} of its {machine:g} cores with other programs"
