"""Did a number change between two runs, or is the difference noise? Pure.

What is easy to get wrong: two runs have dozens of numbers, and at 95 % one in twenty of them "changes" by chance. So
the numbers of a comparison are judged together. Of the numbers called changed, at most one in twenty is expected to be
noise. If nothing changed, then in nineteen of twenty comparisons no number is called changed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import false_discovery_control

from loadtests.analysis.stats import Interval
from loadtests.analysis.student import critical_value, p_value
from loadtests.analysis.summaries import geometric_mean

FALSE_DISCOVERY_RATE = 0.05


@dataclass(frozen=True)
class Change:
    """The ratio of after to before with its 95 % interval, and the p-value of no change (None: unknown)."""

    ratio: Interval
    p_value: float | None


def change(before: Sequence[float], after: Sequence[float]) -> Change:
    """The change from one positive number per repeat to another. The repeats of two runs are not paired.

    Welch's t on the logarithms (B. L. Welch, Biometrika 34, 1947). With one repeat on a side, the interval and the
    p-value are unknown.
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
    distance, factor = math.log(value), math.exp(critical_value(freedom) * error)
    return Change(Interval(value, value / factor, value * factor), p_value(abs(distance) / error, freedom))


def significant(p_values: Sequence[float | None], rate: float = FALSE_DISCOVERY_RATE) -> list[bool]:
    """Which changes are significant, judged together (Y. Benjamini and Y. Hochberg, 1995). Unknown ones are not."""
    known = [each for each in p_values if each is not None]
    adjusted = iter(false_discovery_control(known) if known else ())
    return [each is not None and next(adjusted) <= rate for each in p_values]


def _variance(values: Sequence[float]) -> float:
    logs = [math.log(value) for value in values]
    centre = math.fsum(logs) / len(logs)
    return math.fsum((each - centre) ** 2 for each in logs) / (len(logs) - 1)
