"""Shops that take turns: all of a group are up at once, and the load goes round among them a second at a time.

A core is not equally fast all the time: heat, power saving and neighbours on the same processor move it for seconds.
Trials that follow each other meet different moods, and only many of them average that out. Turns that are shorter
than a mood share it among the shops that are compared, so it cancels in their ratios (duet benchmarking: Bulej et al.,
ICPE 2020, who run both at the same time; here one shop works at a time, so that they do not slow each other down).
What a start alone decides, such as the layout of memory, stays: each repeat still has processes of its own.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from loadtests.experiments.parts import Turns
from loadtests.planning.phases import IDLE, PlannedPhase
from loadtests.planning.trials import Trial

LEAD = "lead"

Slot = tuple[int, PlannedPhase]
"""Whose turn it is, as a seat in the group, and what it does."""


def take_turns(group: Sequence[Trial], turns: Turns) -> None:
    """Give the trials of a group one timeline: each has its phases in slots where the others have nothing to do.

    What comes before the phase that is taken in turns is done once by each. The order is drawn anew for each round.
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
            # What is under way when a turn begins is as much as when it ends, and caches are this shop's again.
            yield seat, replace(taken[seat], name=LEAD, seconds=turns.lead_seconds, record=False)
            yield seat, replace(taken[seat], seconds=taken[seat].seconds / rounds)


def _timeline(seat: int, first: PlannedPhase, slots: Iterable[Slot]) -> Iterator[PlannedPhase]:
    """The slots as one of them sees them: its own, and between them one stretch without any load."""
    waiting, before = 0.0, first
    for whose, phase in slots:
        if whose != seat:
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
    """A stretch in which others have their turn: no load, the slice as it was."""
    return replace(like, name=IDLE, seconds=seconds, rates={}, most={}, record=False, idle=True, curve=())
