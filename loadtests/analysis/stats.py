"""Pure statistics of the lab: percentiles, ratios with a 95 % interval, verdicts.

What is easy to get wrong: three repeats are not three hundred requests. Requests of one trial share its luck
(the same processes, the same machine, one queue), so the interval is taken over repeats. With few repeats the
percentile bootstrap is far too narrow (about 75 % instead of 95 % at three, 89 % at eight), so it is Student's t on
the logarithms, however many there are.
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

DRAW_EXCLUDES = 1.5
"""A draw is shown when neither side can be half as much again as the other."""
SMALLEST_DIFFERENCE = 1.05
"""Where things lie in memory alone can make this much (Mytkowicz et al., ASPLOS 2009): less is nobody's victory."""


class Verdict(StrEnum):
    """What a claim's number says. `INCONCLUSIVE` is an answer: the measurement cannot tell."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    NO_WINNER = "no winner"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Number:
    """A measured number, and whether the truth may be `more` or `less` than it: the wait of who gave up is more."""

    value: float
    more: bool = False
    less: bool = False


def product(numbers: Sequence[Number]) -> Number:
    """What they make together; as unsure as each of them."""
    return Number(
        math.prod(each.value for each in numbers),
        more=any(each.more for each in numbers),
        less=any(each.less for each in numbers),
    )


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval. An end is None where it is open: nothing says how far the truth may lie."""

    value: float
    low: float | None
    high: float | None

    def covers(self, value: float) -> bool:
        """Whether the interval leaves `value` possible; an open end excludes nothing."""
        return (self.low is None or self.low <= value) and (self.high is None or value <= self.high)

    def opened(self, *, more: bool, less: bool) -> "Interval":
        """The same where the truth may be more or less than what was measured."""
        return Interval(self.value, None if less else self.low, None if more else self.high)


def interval(values: Sequence[float]) -> Interval:
    """The geometric mean of one positive number per repeat, with its 95 % interval."""
    if not values or any(not math.isfinite(value) or value <= 0 for value in values):
        raise ValueError("an interval needs one positive number per repeat")
    mean = geometric_mean(values)
    if len(values) == 1:
        return Interval(mean, None, None)
    return _student(values, mean)


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Interval:
    """How many times larger the numerators are, paired by repeat: a repeat shares one mood of the machine."""
    pairs = zip(numerators, denominators, strict=True)
    return interval([above / below for above, below in pairs])


def ratio_of(pairs: Sequence[tuple[Number, Number]]) -> Interval:
    """The same of numbers that may be bounds: on the side where the truth may lie further, the interval is open."""
    found = ratio([above.value for above, _ in pairs], [below.value for _, below in pairs])
    return found.opened(
        more=any(above.more or below.less for above, below in pairs),
        less=any(above.less or below.more for above, below in pairs),
    )


def share(counts: Sequence[tuple[int, int]]) -> Interval:
    """The share of successes among all tries, from (successes, tries) of each repeat, with its 95 % interval.

    On either side it is the wider of two: Wilson's (1927) over all tries together, which knows that 20 of 20 do not
    prove certainty, and Student's t over repeats, which knows that the tries of one repeat share its luck.
    """
    successes, tries = sum(done for done, _ in counts), sum(tried for _, tried in counts)
    if not tries:
        raise ValueError("a share needs at least one try")
    mean = successes / tries
    low, high = binomtest(successes, tries).proportion_ci(method="wilson")
    if len(counts) > 1:
        own = [done / tried for done, tried in counts if tried]
        reach = student.reach(len(own) - 1) * stdev(own) / math.sqrt(len(own)) if len(own) > 1 else 1.0
        low, high = min(low, mean - reach), max(high, mean + reach)
    # Rounding must not put the share itself outside.
    return Interval(mean, min(mean, max(0.0, float(low))), max(mean, min(1.0, float(high))))


def _student(values: Sequence[float], mean: float) -> Interval:
    logs = [math.log(value) for value in values]
    centre = math.log(mean)
    count = len(logs)
    deviation = math.sqrt(math.fsum((each - centre) ** 2 for each in logs) / (count - 1))
    reach = student.reach(count - 1) * deviation / math.sqrt(count)
    # exp and log lose a last digit; the ends must still hold the value itself.
    return Interval(mean, min(mean, math.exp(centre - reach)), max(mean, math.exp(centre + reach)))


def judge_direction(result: Interval, *, claims_more: bool) -> Verdict:
    """Is the ratio on the claimed side of 1?

    An interval that covers 1, or a ratio nearer to it than SMALLEST_DIFFERENCE (decision 0015), has no winner when the
    interval excludes a difference of DRAW_EXCLUDES, as a test of equivalence does; a wider one, or one with an open
    end, cannot tell (decision 0013).
    """
    if result.covers(1.0) or 1 / SMALLEST_DIFFERENCE < result.value < SMALLEST_DIFFERENCE:
        draw = not result.covers(DRAW_EXCLUDES) and not result.covers(1 / DRAW_EXCLUDES)
        return Verdict.NO_WINNER if draw else Verdict.INCONCLUSIVE
    return Verdict.SUPPORTED if (result.value > 1.0) == claims_more else Verdict.NOT_SUPPORTED


def judge_bar(result: Interval, bar: Bar) -> Verdict:
    """Is the whole interval on the promised side of the bar? Astride of it, the measurement cannot tell."""
    low = 0.0 if result.low is None else result.low
    high = math.inf if result.high is None else result.high
    ends = {bar.holds(low), bar.holds(high)}
    if ends == {True}:
        return Verdict.SUPPORTED
    return Verdict.NOT_SUPPORTED if ends == {False} else Verdict.INCONCLUSIVE
