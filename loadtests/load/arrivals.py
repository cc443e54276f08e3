"""The start times of visits: open arrivals, which are planned before the first request.

In a closed model a user waits for a response before the next visit. So a stalled shop gets fewer requests and looks
better than it is (coordinated omission). Here the times do not depend on the shop, and latency counts from them.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, count

from loadtests.experiments import curves
from loadtests.experiments.kinds import Shape


@dataclass(frozen=True)
class Phase:
    """A stretch of time. By persona, `rates` are visits per second and `most` is the limit of visits under way.

    The rates are constant, or follow a `curve` of multiples (see `loadtests.experiments.curves`): those of the personas
    in `curve_of`, or of all if it is empty.
    """

    name: str
    seconds: float
    rates: Mapping[str, float]
    shape: Shape = "poisson"
    most: Mapping[str, int] = field(default_factory=dict)
    curve: Sequence[curves.Point] = ()
    curve_of: Sequence[str] = ()

    def __post_init__(self) -> None:
        """ValueError for a rate that would fill the memory with planned visits."""
        if (rate := curves.highest_rate(self.rates.values(), self.curve)) > curves.MAX_RATE:
            raise ValueError(
                f"{self.name}: expected at most {curves.MAX_RATE:g} visits per second at any time, not {rate:g}"
            )


@dataclass(frozen=True)
class Arrival:
    """One planned visit, `at` seconds after the start. `number` counts the visits of its persona and phase name."""

    at: float
    phase: int
    persona: str
    number: int


def offsets(rate: float, seconds: float, shape: Shape, rng: random.Random) -> Iterator[float]:
    """The starts of visits in seconds after the phase begins, at a mean rate of `rate` per second."""
    if rate <= 0:
        return
    at = rng.random() / rate if shape == "fixed" else rng.expovariate(rate)
    while at < seconds:
        yield at
        at += 1 / rate if shape == "fixed" else rng.expovariate(rate)


def schedule(phases: Sequence[Phase], seed: str) -> list[Arrival]:
    """All visits of all phases in order of time.

    The random generator starts from the seed again in every phase. So a persona with a constant rate has the same
    offsets in the quiet phase and in the spike, and chance does not add to the difference between the two. Phases of
    one name are the turns of one phase: the next turn continues with new visits.
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
                for offset in _offsets(phase, persona, rate, rng)
            ]
    return sorted(planned, key=lambda arrival: (arrival.at, arrival.persona))


def _offsets(phase: Phase, persona: str, rate: float, rng: random.Random) -> Iterator[float]:
    if not phase.curve or (phase.curve_of and persona not in phase.curve_of):
        return offsets(rate, phase.seconds, phase.shape, rng)
    return curves.offsets(phase.curve, rate, phase.seconds, fixed=phase.shape == "fixed", rng=rng)
