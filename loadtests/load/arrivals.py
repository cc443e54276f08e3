"""When visits begin: open arrivals, planned before the first request and kept whatever the shop does.

A closed user waits for an answer before the next visit, so a stalled shop is asked less and looks better
than it is (coordinated omission). Here the times are fixed beforehand and latency counts from them.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, count

from loadtests.experiments import curves
from loadtests.experiments.kinds import Shape


@dataclass(frozen=True)
class Phase:
    """A stretch of time: `rates` are visits per second by persona, `most` those under way at a time.

    Without a `curve` the rates stay; with one (see `loadtests.experiments.curves`) they are multiplied by it.
    """

    name: str
    seconds: float
    rates: Mapping[str, float]
    shape: Shape = "poisson"
    most: Mapping[str, int] = field(default_factory=dict)
    curve: Sequence[curves.Point] = ()


@dataclass(frozen=True)
class Arrival:
    """One intended visit: `at` seconds after the start, the `number`-th of its persona in phases of that name."""

    at: float
    phase: int
    persona: str
    number: int


def offsets(rate: float, seconds: float, shape: Shape, rng: random.Random) -> Iterator[float]:
    """Seconds after a phase's start at which visits begin, `rate` per second on average."""
    if rate <= 0:
        return
    at = rng.random() / rate if shape == "fixed" else rng.expovariate(rate)
    while at < seconds:
        yield at
        at += 1 / rate if shape == "fixed" else rng.expovariate(rate)


def schedule(phases: Sequence[Phase], seed: str) -> list[Arrival]:
    """All visits of all phases in order of time.

    The generator restarts from the seed in every phase: a persona whose rate stays the same arrives at the
    same offsets in the quiet phase as in the spike, so that the two differ by the spike and not by luck.
    Phases of the same name are one that is taken in turns: it goes on where it was, with other visits.
    """
    begins = accumulate((phase.seconds for phase in phases), initial=0.0)
    streams: dict[tuple[str, str], tuple[random.Random, Iterator[int]]] = {}
    planned: list[Arrival] = []
    for index, (phase, begin) in enumerate(zip(phases, begins, strict=False)):
        for persona, rate in phase.rates.items():
            fresh = (random.Random(f"{seed}:{persona}"), count())
            rng, numbers = streams.setdefault((phase.name, persona), fresh)
            planned += [
                Arrival(begin + offset, index, persona, next(numbers))
                for offset in _offsets(phase, rate, rng)
            ]
    return sorted(planned, key=lambda arrival: (arrival.at, arrival.persona))


def _offsets(phase: Phase, rate: float, rng: random.Random) -> Iterator[float]:
    if not phase.curve:
        return offsets(rate, phase.seconds, phase.shape, rng)
    return curves.offsets(phase.curve, rate, phase.seconds, fixed=phase.shape == "fixed", rng=rng)
