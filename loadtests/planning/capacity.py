"""The search for capacity: the highest arrival rate at which the shop keeps a promise. Bisection, pure.

The search starts no shop. `next_rate` gets the probes so far and returns the next rate. So a search can be
interrupted, resumed from the files of a run, and tested against simulated shops. What is easy to get wrong: near its
capacity a shop keeps the promise in some trials and breaks it in others. A rate therefore counts as kept, or as
broken, only when two trials agree. And searches that start at one rate try one grid of rates: then all repeats end in
the same bracket, and agree without having measured the same. So each search starts at a rate of its own.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_TRIALS = 40
AGREEING = 2
GROWTH = 2.0


@dataclass(frozen=True)
class Promise:
    """Limits for the p95 (from the intended start), the share of errors, and the share of successful requests."""

    p95_ms: float = 250.0
    errors: float = 0.001
    achieved: float = 0.99

    def kept(self, p95_ms: float | None, errors: float, achieved: float) -> bool:
        """Whether one trial kept the promise. Without any answer there is no p95 (None), and the promise is broken."""
        return (
            p95_ms is not None
            and p95_ms <= self.p95_ms
            and errors <= self.errors
            and achieved >= self.achieved
        )


@dataclass(frozen=True)
class Probe:
    """One trial at `rate` visits per second, and whether it kept the promise."""

    rate: float
    kept: bool


@dataclass(frozen=True)
class Bracket:
    """The result of a search, in visits per second: the promise is kept at `low` and broken at `high`.

    `low` is 0 when no rate was kept. `high` is None when no rate was broken: the search reached `most`, or its last
    trial.
    """

    low: float
    high: float | None

    def contains(self, rate: float) -> bool:
        """Whether `rate` can be the capacity."""
        return self.low <= rate and (self.high is None or rate <= self.high)

    def __str__(self) -> str:
        return f"at least {self.low:.4g}" if self.high is None else f"{self.low:.4g} to {self.high:.4g}"


@dataclass(frozen=True)
class Search:
    """A search from `start` visits per second, between `least` and `most`.

    It ends when the bracket is at most `width` times its lower end wide, or after `max_trials`. ValueError for limits
    that do not fit.
    """

    start: float
    width: float = 0.05
    least: float = 1.0
    most: float = 5000.0
    max_trials: int = MAX_TRIALS

    def __post_init__(self) -> None:
        if not 0 < self.least <= self.start <= self.most or self.width <= 0:
            raise ValueError("a search needs 0 < least ≤ start ≤ most, and a width above 0")

    def next_rate(self, history: Sequence[Probe]) -> float | Bracket:
        """The next rate to try, or the bracket when the search is over.

        A rate is tried until two trials agree, so at most three times. Rates double or halve until one is kept and
        one is broken. Then the next rate is the geometric mean of both.
        """
        for rate in dict.fromkeys(each.rate for each in history):
            if _agreed(rate, history) is None and len(history) < self.max_trials:
                return rate
        kept = [rate for rate in _rates(history) if _agreed(rate, history) is True]
        broken = [rate for rate in _rates(history) if _agreed(rate, history) is False]
        high = min(broken, default=None)
        # By chance, a rate above a broken one may be kept. The lower of the two is the safe answer.
        low = max((rate for rate in kept if high is None or rate < high), default=0.0)
        if len(history) >= self.max_trials:
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


def shifted_start(start: float, least: float, most: float, seed: str) -> float:
    """The first rate of one search: `start` times a random factor between 1 / √2 and √2, within `least` and `most`.

    Rates are doubled, halved and bisected, so the factor spreads the grids of searches evenly over a factor of two.
    """
    factor: float = GROWTH ** random.Random(seed).uniform(-0.5, 0.5)
    return min(most, max(least, start * factor))


def _rates(history: Iterable[Probe]) -> list[float]:
    return sorted({each.rate for each in history})


def _agreed(rate: float, history: Iterable[Probe]) -> bool | None:
    """The answer that two trials at this rate agree on; None while no two agree."""
    answers = [each.kept for each in history if each.rate == rate]
    for answer in (True, False):
        if answers.count(answer) >= AGREEING:
            return answer
    return None
