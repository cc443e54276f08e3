"""Shops that take turns: all shops of a group run at the same time, and the load moves between them every second.

The speed of a core changes for seconds at a time: by heat, power saving, and other work on the same processor. Trials
that follow each other run at different speeds, and only many repeats average that out. Turns are shorter than such a
change, so it affects all compared shops alike and cancels in their ratios. This is duet benchmarking (Bulej et al.,
ICPE 2020). They load both systems at the same time; here only one shop has load at a time, so the shops do not slow
each other down. Effects of a single start, such as the layout of memory, do not cancel. So each repeat still starts new
processes.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from loadtests.experiments.parts import Turns
from loadtests.planning.phases import IDLE, PlannedPhase
from loadtests.planning.trials import Trial

LEAD = "lead"

Slot = tuple[int, PlannedPhase]
"""The seat (position in the group) that has its turn, and its phase."""


def take_turns(group: Sequence[Trial], turns: Turns) -> None:
    """Give the trials of a group one common timeline: while one has a phase, the others are idle.

    The phases before the one with turns run once per trial. Each round of turns has a newly drawn order.
    """
    slots = list(_slots([trial.phases for trial in group], turns, random.Random(group[0].seed)))
    for seat, trial in enumerate(group):
        trial.seat = seat
        trial.phases = list(_timeline(seat, trial.phases[0], slots))


def _slots(phases: Sequence[Sequence[PlannedPhase]], turns: Turns, rng: random.Random) -> Iterator[Slot]:
    seats = range(len(phases))
    for seat in seats:
        for phase in phases[seat]:
            if phase.name != turns.phase:
                yield seat, phase
    taken = [next(phase for phase in each if phase.name == turns.phase) for each in phases]
    rounds = turns.rounds(taken[0].seconds)
    for _ in range(rounds):
        for seat in rng.sample(seats, len(seats)):
            # After the lead, as many requests are in flight as at the end of the turn, and the CPU caches are warm.
            yield seat, replace(taken[seat], name=LEAD, seconds=turns.lead_seconds, record=False)
            yield seat, replace(taken[seat], seconds=taken[seat].seconds / rounds)


def _timeline(seat: int, first: PlannedPhase, slots: Iterable[Slot]) -> Iterator[PlannedPhase]:
    """The phases of one seat: its own slots, and one idle phase for the slots of others in between."""
    waiting, before = 0.0, first
    for owner, phase in slots:
        if owner != seat:
            waiting += phase.seconds
            continue
        if waiting:
            yield _idle(before, waiting)
            waiting = 0.0
        yield phase
        before = phase
    if waiting:
        yield _idle(before, waiting)


def _idle(like: PlannedPhase, seconds: float) -> PlannedPhase:
    """A phase without load while others have their turn. The slice stays as in `like`."""
    return replace(like, name=IDLE, seconds=seconds, rates={}, most={}, record=False, idle=True, curve=())
