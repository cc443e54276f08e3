"""How capacity grows with the number of replicas: efficiency at N, and the Universal Scalability Law. Pure.

What is easy to get wrong: a curve with three parameters always fits three or four points well. The intervals come from
a bootstrap that draws whole repeats, not single points, because the points of a repeat share the conditions of that
time. If the interval of a parameter contains 0, its effect was not seen. And where N replicas do more than N times the
work of one, the best fit with contention of 0 or more is "contention 0 (0 to 0)", which looks certain and is wrong:
there the law is refused.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadtests.analysis.stats import Interval, ratio
from loadtests.analysis.student import CONFIDENCE, critical_value

RESAMPLES = 1000
NORMAL = 1.96
MIN_SIZES = 3
MIN_REPEATS = 3

Capacities = Mapping[int, Sequence[float]]
"""Number of replicas → capacities in requests per second, one per repeat, in the same order of repeats for all."""


class SuperlinearError(ValueError):
    """Replicas did more than they should by this law; the message says how many did how much."""


Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Law:
    """The Universal Scalability Law: gamma N / (1 + alpha (N - 1) + beta N (N - 1)).

    N. J. Gunther, Guerrilla Capacity Planning, Springer 2007. `gamma` is the capacity of one replica in
    requests per second. `alpha` is contention: the share of the work that is serialised. `beta` is coherency: the
    cost of keeping each pair of replicas consistent. With both at 0, N replicas do N times the work.
    """

    gamma: float
    alpha: float
    beta: float

    def capacity(self, replicas: float) -> float:
        """The requests per second of that many replicas."""
        waiting = self.alpha * (replicas - 1) + self.beta * replicas * (replicas - 1)
        return self.gamma * replicas / (1 + waiting)

    @property
    def peak(self) -> float | None:
        """The number of replicas with the highest capacity (Gunther 2007); None if capacity never falls."""
        if self.beta <= 0:
            return None
        return float(np.sqrt(max(0.0, 1 - self.alpha) / self.beta))


@dataclass(frozen=True)
class Fit:
    """The best fit, and its parameters with 95 % intervals (with fewer than three repeats the ends are None)."""

    law: Law
    gamma: Interval
    alpha: Interval
    beta: Interval

    def __str__(self) -> str:
        return (
            f"{_amount(self.gamma)} requests/s of one replica, contention {_amount(self.alpha)}, "
            f"coherency {_amount(self.beta)}"
        )


def efficiency(capacities: Capacities, replicas: int, confidence: float = CONFIDENCE) -> Interval:
    """Capacity at N / (N x capacity at 1), paired by repeat. At 1 every replica adds its full capacity."""
    return ratio(capacities[replicas], [replicas * one for one in capacities[1]], confidence)


def superlinear(capacities: Capacities) -> list[int]:
    """The numbers of replicas whose efficiency is above 1 with its whole interval, corrected for their number."""
    sizes = [size for size in sorted(capacities) if size > 1]
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(sizes))
    return [size for size in sizes if (efficiency(capacities, size, confidence).low or 0.0) > 1.0]


def fit(capacities: Capacities, seed: int = 1) -> Fit:
    """The Universal Scalability Law, fitted to the capacities at three or more numbers of replicas.

    ValueError for fewer, or if the numbers of repeats differ. SuperlinearError where the law does not hold: with a
    negative contention it could be fitted (N. J. Gunther, P. Puglia and K. Tomasette, Communications of the ACM 58,
    2015), but nobody could say what that means for this shop. `seed` is that of the bootstrap.
    """
    sizes, repeats = sorted(capacities), {len(each) for each in capacities.values()}
    if len(sizes) < MIN_SIZES or len(repeats) != 1:
        raise ValueError(f"the law needs {MIN_SIZES} numbers of replicas with equally many repeats")
    if beyond := superlinear(capacities):
        most = max(beyond, key=lambda size: efficiency(capacities, size).value)
        times = efficiency(capacities, most).value
        raise SuperlinearError(f"{most} replicas did {times:.2f} times {most} times the work of one")
    logs = np.log(np.array([capacities[size] for size in sizes], dtype=float))
    best = _least_squares(sizes, np.exp(logs.mean(axis=1))[None, :])[0]
    drawn = _least_squares(sizes, _resampled_means(logs, seed)) if logs.shape[1] >= MIN_REPEATS else None
    intervals = [
        _percentile_interval(best[each], None if drawn is None else drawn[:, each]) for each in range(3)
    ]
    return Fit(Law(*best.tolist()), *intervals)


def _resampled_means(logs: Floats, seed: int) -> Floats:
    """Mean capacities of repeats that are drawn with replacement: a row per resample, a column per size.

    With few repeats a plain percentile bootstrap is too narrow. It is widened as T. Hesterberg proposes (What Teachers
    Should Know About the Bootstrap, 2015): by the variance that is missing in n draws of n, and by Student's t in
    place of the normal distribution.
    """
    count = logs.shape[1]
    centre = logs.mean(axis=1, keepdims=True)
    spread = (logs - centre) * math.sqrt(count / (count - 1)) * critical_value(count - 1) / NORMAL
    chosen = np.random.default_rng(seed).integers(0, count, size=(RESAMPLES, count))
    means: Floats = np.exp(centre + spread[:, chosen].mean(axis=2))
    return means.T


def _least_squares(sizes: Sequence[int], capacities: Floats) -> Floats:
    """Gamma, alpha and beta (columns) for each row of capacities, with the least squares of relative errors.

    Alpha and beta are 0 or more. The law is linear in N / capacity = (1 + alpha (N - 1) + beta N (N - 1)) / gamma. With
    the weight capacity / N the residuals are relative errors, so one replica counts as much as eight.
    """
    n = np.array(sizes, dtype=float)
    columns = np.stack([np.ones_like(n), n - 1, n * (n - 1)], axis=1) * (capacities / n)[:, :, None]
    best = np.zeros((len(capacities), 3))
    least = np.full(len(capacities), np.inf)
    # Two parameters must not be negative. Each may be fixed at 0; the best of these four fits is the optimum.
    for used in ([0, 1, 2], [0, 1], [0, 2], [0]):
        solution = np.zeros_like(best)
        solution[:, used] = np.linalg.pinv(columns[:, :, used]).sum(axis=2)
        error = ((columns @ solution[:, :, None] - 1) ** 2).sum(axis=(1, 2))
        better = (solution >= 0).all(axis=1) & (error < least)
        best[better], least[better] = solution[better], error[better]
    found: Floats = np.column_stack([1 / best[:, 0], best[:, 1:] / best[:, :1]])
    return found


def _percentile_interval(value: float, drawn: Floats | None) -> Interval:
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
