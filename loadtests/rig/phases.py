"""Carries out the phases of trials that run at the same time: load, slices, actions and samples, by one clock."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from loadtests.analysis.records import GATEWAY, GENERATOR
from loadtests.planning.trials import Trial
from loadtests.rig.actions import ActionResult, ActionRunner
from loadtests.rig.cluster import ClusterShop
from loadtests.rig.following import Followed, Follower
from loadtests.rig.generator import GeneratorProcess
from loadtests.rig.live import replicas_recorder
from loadtests.rig.phase_slices import PhaseSlices
from loadtests.rig.processes import group_pids
from loadtests.rig.sampler import Groups, Sample, Sampler, sample_times
from loadtests.rig.shop import Shop
from microservices.launcher import Phase

LEAD_SECONDS = 0.3
TIGHTEN_SECONDS = 0.15
"""A smaller slice is set so long before its phase begins."""
ENDING_SECONDS = 20.0


@dataclass
class ActiveTrial:
    """A trial that runs: its shop and generator, both ready, and what is recorded of them."""

    trial: Trial
    folder: Path
    shop: Shop
    generator: GeneratorProcess
    slices: PhaseSlices
    ready_seconds: float
    samples: list[Sample] = field(default_factory=list)
    done: list[ActionResult] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    followed: Followed | None = None

    def begins(self, epoch: float) -> list[float]:
        """Unix times at which its phases begin, and at which the last one ends."""
        return list(accumulate((phase.seconds for phase in self.trial.phases), initial=epoch))


def run_phases(trials: Sequence[ActiveTrial]) -> float:
    """Run the phases of all trials from one start time, which is returned as Unix time.

    Samples, action results and deaths are recorded in the trials.
    """
    runners = [ActionRunner(each.shop, each.slices) for each in trials]
    followers = [Follower(each.shop, each.trial) for each in trials]
    try:
        for each in trials:
            each.slices.begin(each.trial.phases[0], each.shop.replicas())
        epoch = time.time() + LEAD_SECONDS
        samplers = [_sampler(each, epoch) for each in trials]
        for each, sampler in zip(trials, samplers, strict=True):
            sampler.start()
            each.generator.order(f"start {epoch}")
        for at, number, index in _phase_changes(trials, epoch):
            time.sleep(max(0.0, at - time.time()))
            active = trials[number]
            phase = active.trial.phases[index]
            if index:
                active.slices.begin(phase, active.shop.replicas())
            runners[number].next_phase(index, phase.action)
            followers[number].phase_begins(phase)
        time.sleep(max(0.0, trials[0].begins(epoch)[-1] - time.time()))
        for each, runner, sampler in zip(trials, runners, samplers, strict=True):
            _finish(each, runner, sampler, epoch)
        for each, follower in zip(trials, followers, strict=True):
            each.slices.remove_all()  # so that replicas which drain now do so in a moment
            each.followed = follower.finish()
        return epoch
    finally:
        for each, runner, follower in zip(trials, runners, followers, strict=True):
            follower.finish()
            runner.finish()
            each.slices.remove_all()


def _finish(active: ActiveTrial, runner: ActionRunner, sampler: Sampler, epoch: float) -> None:
    """Wait for the end of a trial's actions and load, and record what is known of it."""
    active.done = runner.finish()
    active.generator.expect("{", active.trial.drain_seconds + ENDING_SECONDS)
    active.samples = [*sampler.finish(), *_of_pods(active, epoch)]
    active.died = [
        f"{death.name}-{death.slot}: {death.cause}"
        for death in active.shop.died
        if death.name not in active.trial.killed
    ]


def _of_pods(active: ActiveTrial, epoch: float) -> list[Sample]:
    """The samples of a shop in a cluster, which others than our sampler took."""
    if isinstance(active.shop, ClusterShop):
        return active.shop.samples(until=active.begins(epoch)[-1])
    return []


def _phase_changes(trials: Sequence[ActiveTrial], epoch: float) -> list[tuple[float, int, int]]:
    """All changes in order of time: Unix time, number of the trial, number of the phase that begins."""
    return sorted(
        (at, number, index) for number, each in enumerate(trials) for at, index in _changes_of(each, epoch)
    )


def _changes_of(active: ActiveTrial, epoch: float) -> Iterator[tuple[float, int]]:
    """When each phase begins. A smaller slice is set before that; a larger one not before the last phase has ended."""
    phases = active.trial.phases
    before = phases[0]
    for index, (phase, begin) in enumerate(zip(phases, active.begins(epoch), strict=False)):
        early = TIGHTEN_SECONDS if phase.slice_cores < before.slice_cores else 0.0
        yield begin - early, index
        before = phase


def _sampler(active: ActiveTrial, epoch: float) -> Sampler:
    """A sampler for the trial's own phases: once a second and at their ends, not while other shops have their turn."""
    begins = active.begins(epoch)
    spans = [
        (begin, end)
        for phase, begin, end in zip(active.trial.phases, begins, begins[1:], strict=False)
        if not phase.idle
    ]
    groups = _groups(active.shop, group_pids(active.generator.process.pid))
    recorder = replicas_recorder(active.folder)

    def note(_names: Collection[str]) -> None:
        recorder([replica.label for replica in active.shop.replicas()])

    return Sampler(groups, sample_times(spans), note, active.slices.throttling)


def _groups(shop: Shop, generator: list[int]) -> Callable[[], Groups]:
    """A function that returns the current process groups; it is called at every sample, as replicas come and go.

    A ready server has all its workers, so its pids are looked up only once. A shop in a cluster has none here.
    """
    known: dict[tuple[str, int], list[int]] = {}

    def groups() -> Groups:
        found: dict[str, list[int]] = {}
        for replica in shop.replicas():
            key = (replica.label, replica.pid)
            pids = known.get(key) or replica.pids()
            if replica.phase is Phase.READY:
                known[key] = pids
            if pids:
                found[replica.label] = pids
        gateway = {GATEWAY: [shop.gateway]} if shop.gateway else {}
        return {**found, **gateway, GENERATOR: generator}

    return groups
