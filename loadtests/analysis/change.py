"""Did a number change between two runs, or is it noise? Pure.

What is easy to get wrong: two runs have dozens of numbers, and at 95 % one in twenty of them "changes" though nothing
did. So the numbers of a comparison are judged together: of those called changed, at most one in twenty is expected to
be noise, and where nothing changed at all, nothing is called so in nineteen of twenty comparisons.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import false_discovery_control

from loadtests.analysis.stats import Interval
from loadtests.analysis.student import reach, two_sided
from loadtests.analysis.summaries import geometric_mean

FALSE_SHARE = 0.05


@dataclass(frozen=True)
class Change:
    """After over before with its 95 % interval; `chance` is how often noise alone looks like this (None: unknown)."""

    ratio: Interval
    chance: float | None


def change(before: Sequence[float], after: Sequence[float]) -> Change:
    """How many times the numbers before are those after; one positive number per repeat, which do not pair.

    Welch's t on the logarithms (B. L. Welch, Biometrika 34, 1947).
    """
    value = geometric_mean(after) / geometric_mean(before)
    if min(len(before), len(after)) < 2:
        return Change(Interval(value, None, None), None)
    parts = [_variance(numbers) / len(numbers) for numbers in (before, after)]
    error = math.sqrt(sum(parts))
    if error == 0:
        return Change(Interval(value, value, value), 1.0 if math.isclose(value, 1.0) else 0.0)
    squares = [
        (part / error**2) ** 2 / (len(of) - 1) for part, of in zip(parts, (before, after), strict=True)
    ]
    freedom = 1 / sum(squares)
    distance, stretch = math.log(value), math.exp(reach(freedom) * error)
    return Change(
        Interval(value, value / stretch, value * stretch), two_sided(abs(distance) / error, freedom)
    )


def beyond_noise(chances: Sequence[float | None], share: float = FALSE_SHARE) -> list[bool]:
    """Which of these are no noise, judged together (Y. Benjamini and Y. Hochberg, 1995). Unknown ones never are."""
    known = [chance for chance in chances if chance is not None]
    adjusted = iter(false_discovery_control(known) if known else ())
    return [chance is not None and next(adjusted) <= share for chance in chances]


def _variance(values: Sequence[float]) -> float:
    logs = [math.log(value) for value in values]
    centre = math.fsum(logs) / len(logs)
    return math.fsum((each - centre) ** 2 for each in logs) / (len(logs) - 1)
