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

from loadtests import student


class Verdict(StrEnum):
    """What a claim's number says. `INCONCLUSIVE` is an answer: the measurement cannot tell."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    NO_WINNER = "no winner"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval. The ends are None when one repeat cannot tell."""

    value: float
    low: float | None
    high: float | None

    def covers(self, value: float) -> bool:
        """Whether the interval leaves `value` possible; an unknown interval excludes nothing."""
        return self.low is None or self.high is None or self.low <= value <= self.high


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0..1) of `values` lies, linear between neighbours."""
    if not values:
        raise ValueError("a percentile needs at least one value")
    if not 0 <= share <= 1:
        raise ValueError(f"the share must be between 0 and 1, not {share}")
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def geometric_mean(values: Sequence[float]) -> float:
    """The mean that treats a doubling and a halving alike, as ratios need it. Values must be positive."""
    return math.exp(math.fsum(math.log(value) for value in values) / len(values))


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


def _student(values: Sequence[float], mean: float) -> Interval:
    logs = [math.log(value) for value in values]
    centre = math.log(mean)
    count = len(logs)
    deviation = math.sqrt(math.fsum((each - centre) ** 2 for each in logs) / (count - 1))
    reach = student.reach(count - 1) * deviation / math.sqrt(count)
    # exp and log lose a last digit; the ends must still hold the value itself.
    return Interval(mean, min(mean, math.exp(centre - reach)), max(mean, math.exp(centre + reach)))


@dataclass(frozen=True)
class Bar:
    """A number promised beforehand: `at_least` 3.6 or `at_most` 1.25. Exactly one of the two is set."""

    at_least: float | None = None
    at_most: float | None = None

    def holds(self, value: float) -> bool:
        """Whether `value` is on the promised side."""
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )

    def __str__(self) -> str:
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"


def judge_direction(result: Interval, *, claims_more: bool) -> Verdict:
    """Is the ratio on the claimed side of 1? An interval that covers 1 has no winner."""
    if result.low is None:
        return Verdict.INCONCLUSIVE
    if result.covers(1.0):
        return Verdict.NO_WINNER
    return Verdict.SUPPORTED if (result.value > 1.0) == claims_more else Verdict.NOT_SUPPORTED


def judge_bar(result: Interval, bar: Bar) -> Verdict:
    """Is the whole interval on the promised side of the bar? Astride of it, the measurement cannot tell."""
    if result.low is None or result.high is None:
        return Verdict.INCONCLUSIVE
    ends = {bar.holds(result.low), bar.holds(result.high)}
    if ends == {True}:
        return Verdict.SUPPORTED
    return Verdict.NOT_SUPPORTED if ends == {False} else Verdict.INCONCLUSIVE
