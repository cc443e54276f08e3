"""How well a number of replicas follows demand: the elasticity metrics of the SPEC Research Group. Pure.

N. R. Herbst and others, "Ready for Rain? A View from SPEC Research on the Future of Cloud Metrics", arXiv 1604.03470:
accuracy (how much is missing or idle), time shares, and instability. Demand d and supply s are numbers of replicas.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from loadtests.experiments.curves import Point, multiple_at

STEP_SECONDS = 0.1
"""The distance at which demand and supply are compared."""
CHANGE_SECONDS = 1.0
"""The distance at which their changes are compared: a replica takes about as long to start."""
Steps = Sequence[tuple[float, int]]
"""(seconds, replicas from then on), in order of time."""


@dataclass(frozen=True, slots=True)
class Elasticity:
    """The metrics of one stretch of time; 0 is best in each of them."""

    missing: float
    """θ_U: the mean number of replicas that were missing."""
    idle: float
    """θ_O: the mean number of replicas that nobody needed."""
    missing_share: float
    """τ_U: the share of the time in which some were missing."""
    idle_share: float
    """τ_O: the share of the time in which some were idle."""
    instability: float
    """The share of the time in which supply rose although demand did not, or stayed although demand fell."""


def elasticity(demand: Callable[[float], int], supply: Steps, begin: float, end: float) -> Elasticity:
    """Compare demand and supply from `begin` to `end`, in seconds of the trial."""
    count = max(1, round((end - begin) / STEP_SECONDS))
    times = [begin + (place + 0.5) * (end - begin) / count for place in range(count)]
    over = [value_at(supply, at) - demand(at) for at in times]
    looks = max(2, round((end - begin) / CHANGE_SECONDS) + 1)
    moments = [begin + place * (end - begin) / (looks - 1) for place in range(looks)]
    changes = [
        min(1, max(0, _sign(value_at(supply, b) - value_at(supply, a)) - _sign(demand(b) - demand(a))))
        for a, b in pairwise(moments)
    ]
    return Elasticity(
        missing=sum(max(0, -each) for each in over) / count,
        idle=sum(max(0, each) for each in over) / count,
        missing_share=sum(each < 0 for each in over) / count,
        idle_share=sum(each > 0 for each in over) / count,
        instability=sum(changes) / len(changes),
    )


def value_at(steps: Steps, at: float) -> int:
    """The number of replicas at a time; the first one before the first step, and 0 without steps."""
    if not steps:
        return 0
    place = bisect_right([time for time, _ in steps], at) - 1
    return steps[max(0, place)][1]


def replicas_for(visits: float, capacity: float) -> int:
    """The smallest number of replicas that serve so many visits per second, if one serves `capacity` of them."""
    return max(1, math.ceil(visits / capacity - 1e-9))


def demand_of(rate: float, curve: Sequence[Point], begin: float, capacity: float) -> Callable[[float], int]:
    """The demand at each second of the trial, for a phase that begins at `begin` with this rate and curve."""
    return lambda at: replicas_for(rate * multiple_at(curve, at - begin), capacity)


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)
