"""Capacity at a promise: the highest arrival rate at which the shop keeps it, found by bisection as a bracket. Pure.

The search owns no shop. `next_rate` looks at what was tried so far and says what to try next, so that it can be
interrupted, resumed from the files of a run, and tested against simulated shops. What is easy to get wrong: near its
capacity a shop keeps the promise on some days. A side of the bracket counts only when it was seen twice there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_TRIALS = 40
TWICE = 2
GROWTH = 2.0


@dataclass(frozen=True)
class Promise:
    """What the shop must keep: p95 from the intended start, share of errors, share of the asked that was answered."""

    p95_ms: float = 250.0
    errors: float = 0.001
    achieved: float = 0.99

    def kept(self, p95_ms: float | None, errors: float, achieved: float) -> bool:
        """Whether one trial kept it; without any answer there is no p95, and nothing is kept."""
        return (
            p95_ms is not None
            and p95_ms <= self.p95_ms
            and errors <= self.errors
            and achieved >= self.achieved
        )


@dataclass(frozen=True)
class Tried:
    """One trial at `rate` visits per second, and whether the promise was kept."""

    rate: float
    kept: bool


@dataclass(frozen=True)
class Bracket:
    """The end of a search: kept at `low`, broken at `high`.

    `low` is 0 when no rate was kept, `high` None when none was broken: the search's bounds or its trials ended it.
    """

    low: float
    high: float | None

    def holds(self, rate: float) -> bool:
        """Whether the capacity may be `rate`."""
        return self.low <= rate and (self.high is None or rate <= self.high)

    def __str__(self) -> str:
        return f"at least {self.low:.4g}" if self.high is None else f"{self.low:.4g} to {self.high:.4g}"


@dataclass(frozen=True)
class Search:
    """Where to look: from `start` visits per second, until the bracket is `width` of its lower end, within bounds."""

    start: float
    width: float = 0.05
    least: float = 1.0
    most: float = 5000.0
    trials: int = MAX_TRIALS

    def __post_init__(self) -> None:
        if not 0 < self.least <= self.start <= self.most or self.width <= 0:
            raise ValueError("a search needs 0 < least ≤ start ≤ most, and a width above 0")

    def next_rate(self, history: Sequence[Tried]) -> float | Bracket:
        """The next rate to try, or the bracket when it is narrow enough, the bounds are met or trials are used up.

        A rate is tried until one answer has been given twice: two of three decide. Rates grow or shrink by factors of
        two until both sides are known; then the geometric middle halves the bracket.
        """
        for rate in dict.fromkeys(each.rate for each in history):
            if _decided(rate, history) is None and len(history) < self.trials:
                return rate
        kept = [rate for rate in _rates(history) if _decided(rate, history) is True]
        broken = [rate for rate in _rates(history) if _decided(rate, history) is False]
        high = min(broken, default=None)
        # Noise may keep a promise above a rate that broke it; the lower of the two answers is the careful one.
        low = max((rate for rate in kept if high is None or rate < high), default=0.0)
        if len(history) >= self.trials:
            return Bracket(low, high)
        return self._step(low, high)

    def _step(self, low: float, high: float | None) -> float | Bracket:
        if high is None:
            if low >= self.most:
                return Bracket(low, None)
            return min(self.most, low * GROWTH) if low else self.start
        if not low:
            return Bracket(0.0, high) if high <= self.least else max(self.least, high / GROWTH)
        return Bracket(low, high) if high <= low * (1 + self.width) else (low * high) ** 0.5


def _rates(history: Iterable[Tried]) -> list[float]:
    return sorted({each.rate for each in history})


def _decided(rate: float, history: Iterable[Tried]) -> bool | None:
    """What two trials at this rate agree on; None while they do not."""
    answers = [each.kept for each in history if each.rate == rate]
    for answer in (True, False):
        if answers.count(answer) >= TWICE:
            return answer
    return None
