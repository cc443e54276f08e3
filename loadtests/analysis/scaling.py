"""How capacity grows with replicas: efficiency at N, and the Universal Scalability Law. Pure.

What is easy to get wrong: three parameters through three or four points always look good. The intervals come
from drawing whole repeats again, not points of the curve, because a repeat shares one mood of the machine; a
parameter whose interval holds 0 was not seen.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadtests.analysis.stats import Interval, ratio
from loadtests.analysis.student import CONFIDENCE, reach

DRAWS = 1000
NORMAL = 1.96
ENOUGH_SIZES = 3
ENOUGH_REPEATS = 3

Capacities = Mapping[int, Sequence[float]]
"""Replicas → capacity in requests per second, one number per repeat, in the same order of repeats for all."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Law:
    """The Universal Scalability Law: gamma N / (1 + alpha (N - 1) + beta N (N - 1)).

    N. J. Gunther, Guerrilla Capacity Planning, Springer 2007. `gamma` is the capacity of one replica in
    requests per second; `alpha` is contention, the share of the work that waits in one line; `beta` is coherency,
    the price of each pair of replicas keeping each other informed. With both at 0, N replicas do N times the work.
    """

    gamma: float
    alpha: float
    beta: float

    def capacity(self, replicas: float) -> float:
        """Requests per second that the law expects of so many replicas."""
        waiting = self.alpha * (replicas - 1) + self.beta * replicas * (replicas - 1)
        return self.gamma * replicas / (1 + waiting)

    @property
    def peak(self) -> float | None:
        """The number of replicas beyond which more do less (Gunther 2007); None when there is no such number."""
        if self.beta <= 0:
            return None
        return float(np.sqrt(max(0.0, 1 - self.alpha) / self.beta))


@dataclass(frozen=True)
class Fit:
    """The law that fits best, and its parameters with 95 % intervals (unknown with fewer than three repeats)."""

    law: Law
    gamma: Interval
    alpha: Interval
    beta: Interval

    def __str__(self) -> str:
        return (
            f"{_amount(self.gamma)} requests/s of one replica, contention {_amount(self.alpha)}, "
            f"coherency {_amount(self.beta)}"
        )


def efficiency(capacities: Capacities, replicas: int) -> Interval:
    """Capacity at N ÷ (N x capacity at 1), paired by repeat: 1 means that every replica counts in full."""
    return ratio(capacities[replicas], [replicas * one for one in capacities[1]])


def fit(capacities: Capacities, seed: int = 1) -> Fit:
    """The Universal Scalability Law through capacities at three or more numbers of replicas.

    ValueError when there are fewer, or when the repeats of the sizes do not pair.
    """
    sizes, repeats = sorted(capacities), {len(each) for each in capacities.values()}
    if len(sizes) < ENOUGH_SIZES or len(repeats) != 1:
        raise ValueError(f"the law needs {ENOUGH_SIZES} numbers of replicas with equally many repeats")
    logs = np.log(np.array([capacities[size] for size in sizes], dtype=float))
    best = _least_squares(sizes, np.exp(logs.mean(axis=1))[None, :])[0]
    drawn = _least_squares(sizes, _drawn(logs, seed)) if logs.shape[1] >= ENOUGH_REPEATS else None
    intervals = [_between(best[each], None if drawn is None else drawn[:, each]) for each in range(3)]
    return Fit(Law(*best.tolist()), *intervals)


def _drawn(logs: Floats, seed: int) -> Floats:
    """Mean capacities of repeats drawn with replacement, a row for each draw, a column for each size.

    Plain percentiles of few repeats are too sure. Expanded as T. Hesterberg, What Teachers Should Know About the
    Bootstrap (2015) proposes: the variance that n draws of n leave out, and Student's t in place of the normal.
    """
    count = logs.shape[1]
    centre = logs.mean(axis=1, keepdims=True)
    spread = (logs - centre) * math.sqrt(count / (count - 1)) * reach(count - 1) / NORMAL
    chosen = np.random.default_rng(seed).integers(0, count, size=(DRAWS, count))
    means: Floats = np.exp(centre + spread[:, chosen].mean(axis=2))
    return means.T


def _least_squares(sizes: Sequence[int], capacities: Floats) -> Floats:
    """Gamma, alpha and beta for each row of capacities: the least relative error with neither of the last two below 0.

    The law is linear in N / capacity = (1 + alpha (N - 1) + beta N (N - 1)) / gamma. Weighted with capacity / N the
    residuals are relative errors, as capacities need them: a tenth off is a tenth off at one replica and at eight.
    """
    n = np.array(sizes, dtype=float)
    columns = np.stack([np.ones_like(n), n - 1, n * (n - 1)], axis=1) * (capacities / n)[:, :, None]
    best = np.zeros((len(capacities), 3))
    least = np.full(len(capacities), np.inf)
    # Two parameters that may not be negative: the best of the four ways to hold some of them at 0 is the optimum.
    for used in ([0, 1, 2], [0, 1], [0, 2], [0]):
        solution = np.zeros_like(best)
        solution[:, used] = np.linalg.pinv(columns[:, :, used]).sum(axis=2)
        error = ((columns @ solution[:, :, None] - 1) ** 2).sum(axis=(1, 2))
        better = (solution >= 0).all(axis=1) & (error < least)
        best[better], least[better] = solution[better], error[better]
    found: Floats = np.column_stack([1 / best[:, 0], best[:, 1:] / best[:, :1]])
    return found


def _between(value: float, drawn: Floats | None) -> Interval:
    value = float(value)
    if drawn is None:
        return Interval(value, None, None)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail]).tolist()
    return Interval(value, min(value, low), max(value, high))


def _amount(of: Interval) -> str:
    if of.low is None or of.high is None:
        return f"{of.value:.3g}"
    return f"{of.value:.3g} ({of.low:.3g} to {of.high:.3g})"
