"""The statistics of the lab: ratios and shares with a 95 % interval, and verdicts. Pure.

What is easy to get wrong: requests of one trial are not independent. They share processes, machine and queue, so the
interval is taken over repeats and not over requests. With few repeats a percentile bootstrap is far too narrow: it
covers about 75 % instead of 95 % with three repeats, and 89 % with eight. So the interval is always Student's t on the
logarithms (docs/decisions/0009).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from loadtests.analysis import student
from loadtests.analysis.numbers import Number, quotient
from loadtests.analysis.student import CONFIDENCE
from loadtests.analysis.summaries import geometric_mean
from loadtests.experiments.bar import Bar
from loadtests.experiments.metrics import MARGIN

SMALLEST_DIFFERENCE = 1.05
"""The layout of memory alone can make a smaller difference (Mytkowicz et al., ASPLOS 2009), so it has no winner."""


class Verdict(StrEnum):
    """The result of judging a claim. `INCONCLUSIVE`: this measurement cannot tell."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    NO_WINNER = "no winner"
    INCONCLUSIVE = "inconclusive"


class Bound(StrEnum):
    """What the value of an interval is, where it is not an estimate of the true one."""

    AT_LEAST = "at least"
    AT_MOST = "at most"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Interval:
    """A value with its interval. An end is None where nothing limits the true value on that side.

    Where `bound` is set, the value is made of bounds. Only the end that is known may then be told to people: the true
    value is at least `low`, or at most `high`, with the confidence of the interval.
    """

    value: float
    low: float | None
    high: float | None
    bound: Bound | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends, 0 and infinity where they are open."""
        return 0.0 if self.low is None else self.low, math.inf if self.high is None else self.high

    def covers(self, value: float) -> bool:
        """Whether `value` lies in the interval; an open end excludes nothing."""
        low, high = self.ends
        return low <= value <= high


def interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """The geometric mean of one number per repeat, with its interval: Student's t on the logarithms (decision 0009).

    ValueError unless all values are positive and finite. With one repeat both ends are None.
    """
    if not values or any(not math.isfinite(value) or value <= 0 for value in values):
        raise ValueError("an interval needs one positive number per repeat")
    mean = geometric_mean(values)
    if len(values) == 1:
        return Interval(mean, None, None)
    return _student(values, mean, confidence)


def interval_of_numbers(numbers: Sequence[Number], confidence: float = CONFIDENCE) -> Interval:
    """The same for numbers that may be bounds, one per repeat.

    The interval is open on a side where some number is. Where numbers lie in brackets, it contains at least the
    bracket of their geometric mean: repeats can agree on a bracket by chance, and agreement is not precision.
    """
    found = interval([each.value for each in numbers], confidence)
    below = any(each.low == 0 for each in numbers)
    above = any(math.isinf(each.high) for each in numbers)
    low, high = found.low, found.high
    if low is not None and not below:
        low = min(low, geometric_mean([each.low for each in numbers]))
    if high is not None and not above:
        high = max(high, geometric_mean([each.high for each in numbers]))
    bound = {(True, True): Bound.UNKNOWN, (True, False): Bound.AT_MOST, (False, True): Bound.AT_LEAST}
    return Interval(found.value, None if below else low, None if above else high, bound.get((below, above)))


def ratio(
    numerators: Sequence[float], denominators: Sequence[float], confidence: float = CONFIDENCE
) -> Interval:
    """The ratio with its interval, paired by repeat: both numbers of a repeat share the conditions of that time."""
    pairs = zip(numerators, denominators, strict=True)
    return interval([above / below for above, below in pairs], confidence)


def ratio_of_numbers(pairs: Sequence[tuple[Number, Number]], confidence: float = CONFIDENCE) -> Interval:
    """The same for numbers that may be bounds."""
    return interval_of_numbers([quotient(above, below) for above, below in pairs], confidence)


def _student(values: Sequence[float], mean: float, confidence: float) -> Interval:
    logs = [math.log(value) for value in values]
    centre = math.log(mean)
    count = len(logs)
    deviation = math.sqrt(math.fsum((each - centre) ** 2 for each in logs) / (count - 1))
    half = student.critical_value(count - 1, confidence) * deviation / math.sqrt(count)
    # Rounding errors of exp and log must not exclude the value itself.
    return Interval(mean, min(mean, math.exp(centre - half)), max(mean, math.exp(centre + half)))


def judge_direction(result: Interval, *, claims_more: bool, margin: float = MARGIN) -> Verdict:
    """Whether the ratio is on the claimed side of 1. All of it is asked of the whole interval, not of its value.

    There is a winner where the interval excludes everything closer to 1 than SMALLEST_DIFFERENCE. "No winner" is a
    finding too, a test of equivalence (D. J. Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15, 1987): the
    interval excludes `margin` and 1 / `margin`, so the sides are less than `margin` times apart. Otherwise the verdict
    is "inconclusive" (docs/decisions/0027).
    """
    low, high = result.ends
    if low > SMALLEST_DIFFERENCE or high < 1 / SMALLEST_DIFFERENCE:
        return Verdict.SUPPORTED if (low > 1.0) == claims_more else Verdict.NOT_SUPPORTED
    return Verdict.NO_WINNER if 1 / margin < low and high < margin else Verdict.INCONCLUSIVE


def judge_bar(result: Interval, bar: Bar) -> Verdict:
    """Whether the whole interval is on the promised side of the bar; inconclusive if the bar lies inside it."""
    ends = {bar.holds(end) for end in result.ends}
    if ends == {True}:
        return Verdict.SUPPORTED
    return Verdict.NOT_SUPPORTED if ends == {False} else Verdict.INCONCLUSIVE


def rounded(value: float | None) -> float | None:
    """The value with five significant digits, which is more than any interval here supports."""
    return None if value is None else float(f"{value:.5g}")
