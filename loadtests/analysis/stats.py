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
from statistics import stdev

from scipy.stats import binomtest

from loadtests.analysis import student
from loadtests.analysis.summaries import geometric_mean
from loadtests.experiments.bar import Bar

EQUIVALENCE_MARGIN = 1.5
"""The verdict is "no winner" only if the interval excludes a ratio of 1.5 and of 1 / 1.5 (docs/decisions/0013)."""
SMALLEST_DIFFERENCE = 1.05
"""The layout of memory alone can make a smaller difference (Mytkowicz et al., ASPLOS 2009), so it has no winner."""


class Verdict(StrEnum):
    """The result of judging a claim. `INCONCLUSIVE`: this measurement cannot tell."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    NO_WINNER = "no winner"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Number:
    """A measured number, and whether it is only a bound of the true one.

    Example: a request that timed out would have taken longer, so its latency is a lower bound.
    """

    value: float
    lower_bound: bool = False
    upper_bound: bool = False


def product(numbers: Sequence[Number]) -> Number:
    """The product. It is a bound if any factor is one."""
    return Number(
        math.prod(each.value for each in numbers),
        lower_bound=any(each.lower_bound for each in numbers),
        upper_bound=any(each.upper_bound for each in numbers),
    )


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval. An open end is None: nothing limits the true value on that side."""

    value: float
    low: float | None
    high: float | None

    def covers(self, value: float) -> bool:
        """Whether `value` lies in the interval; an open end excludes nothing."""
        return (self.low is None or self.low <= value) and (self.high is None or value <= self.high)

    def opened(self, *, above: bool, below: bool) -> "Interval":
        """The same interval, open where the true value may lie further above or below."""
        return Interval(self.value, None if below else self.low, None if above else self.high)


def interval(values: Sequence[float]) -> Interval:
    """The geometric mean of one number per repeat, with its 95 % interval. ValueError unless all are positive."""
    if not values or any(not math.isfinite(value) or value <= 0 for value in values):
        raise ValueError("an interval needs one positive number per repeat")
    mean = geometric_mean(values)
    if len(values) == 1:
        return Interval(mean, None, None)
    return _student(values, mean)


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Interval:
    """The ratio with its interval, paired by repeat: both numbers of a repeat share the conditions of that time."""
    pairs = zip(numerators, denominators, strict=True)
    return interval([above / below for above, below in pairs])


def ratio_of_numbers(pairs: Sequence[tuple[Number, Number]]) -> Interval:
    """The same for numbers that may be bounds: the interval is open where the true ratio may lie further."""
    found = ratio([above.value for above, _ in pairs], [below.value for _, below in pairs])
    return found.opened(
        above=any(above.lower_bound or below.upper_bound for above, below in pairs),
        below=any(above.upper_bound or below.lower_bound for above, below in pairs),
    )


def share(counts: Sequence[tuple[int, int]]) -> Interval:
    """The share of successes (0 to 1) with its 95 % interval, from (successes, tries) of each repeat.

    Each end is the wider of two. Wilson's interval (1927) over all tries accounts for few tries: 20 of 20 do not prove
    certainty. Student's t over repeats accounts for tries of one repeat that are not independent.
    """
    successes, tries = sum(done for done, _ in counts), sum(tried for _, tried in counts)
    if not tries:
        raise ValueError("a share needs at least one try")
    mean = successes / tries
    low, high = binomtest(successes, tries).proportion_ci(method="wilson")
    if len(counts) > 1:
        own = [done / tried for done, tried in counts if tried]
        half = _half_width(own) if len(own) > 1 else 1.0
        low, high = min(low, mean - half), max(high, mean + half)
    # Rounding errors must not exclude the share itself.
    return Interval(mean, min(mean, max(0.0, float(low))), max(mean, min(1.0, float(high))))


def _half_width(shares: Sequence[float]) -> float:
    return student.critical_value(len(shares) - 1) * stdev(shares) / math.sqrt(len(shares))


def _student(values: Sequence[float], mean: float) -> Interval:
    logs = [math.log(value) for value in values]
    centre = math.log(mean)
    count = len(logs)
    deviation = math.sqrt(math.fsum((each - centre) ** 2 for each in logs) / (count - 1))
    half = student.critical_value(count - 1) * deviation / math.sqrt(count)
    # Rounding errors of exp and log must not exclude the value itself.
    return Interval(mean, min(mean, math.exp(centre - half)), max(mean, math.exp(centre + half)))


def judge_direction(result: Interval, *, claims_more: bool) -> Verdict:
    """Whether the ratio is on the claimed side of 1.

    There is no direction if the interval covers 1, or if the ratio is closer to 1 than SMALLEST_DIFFERENCE (decision
    0015). Then the verdict is "no winner" if the interval excludes EQUIVALENCE_MARGIN on both sides, which is a test of
    equivalence, and "inconclusive" otherwise (decision 0013).
    """
    if result.covers(1.0) or 1 / SMALLEST_DIFFERENCE < result.value < SMALLEST_DIFFERENCE:
        equal = not result.covers(EQUIVALENCE_MARGIN) and not result.covers(1 / EQUIVALENCE_MARGIN)
        return Verdict.NO_WINNER if equal else Verdict.INCONCLUSIVE
    return Verdict.SUPPORTED if (result.value > 1.0) == claims_more else Verdict.NOT_SUPPORTED


def judge_bar(result: Interval, bar: Bar) -> Verdict:
    """Whether the whole interval is on the promised side of the bar; inconclusive if the bar lies inside it."""
    low = 0.0 if result.low is None else result.low
    high = math.inf if result.high is None else result.high
    ends = {bar.holds(low), bar.holds(high)}
    if ends == {True}:
        return Verdict.SUPPORTED
    return Verdict.NOT_SUPPORTED if ends == {False} else Verdict.INCONCLUSIVE


def rounded(value: float | None) -> float | None:
    """The value with five significant digits, which is more than any interval here supports."""
    return None if value is None else float(f"{value:.5g}")
