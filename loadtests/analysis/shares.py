"""Shares of visitors with a 95 % interval, from several trials. Pure.

What is easy to get wrong: visitors of one trial share its luck. Fifty visitors of each of three trials are not 150
independent ones, and an interval that treats them so misses the truth in half of the tries when trials differ much.
"""

import math
from collections.abc import Sequence

from loadtests.analysis import student
from loadtests.analysis.stats import Interval
from loadtests.analysis.student import CONFIDENCE

Counts = Sequence[tuple[int, int]]
"""Successes and tries of each repeat."""


def share(counts: Counts, confidence: float = CONFIDENCE) -> Interval:
    """The share of successes (0 to 1) with its interval. ValueError without tries.

    Wilson's score interval (E. B. Wilson, J. American Statistical Association 22, 1927), with the number of tries
    divided by the design effect. Where trials differ more than chance explains, Student's t with one degree of freedom
    less than there are trials takes the place of the normal quantile, because the design effect is itself estimated
    from so few (after E. L. Korn and B. I. Graubard, Survey Methodology 24, 1998).
    """
    tries = sum(tried for _, tried in counts)
    if not tries:
        raise ValueError("a share needs at least one try")
    mean = sum(done for done, _ in counts) / tries
    effect = design_effect(counts)
    freedom = len([tried for _, tried in counts if tried]) - 1
    reach = student.critical_value(freedom if effect > 1 else math.inf, confidence)
    low, high = _wilson(mean, tries / effect, reach)
    # Rounding errors must not exclude the share itself.
    return Interval(mean, min(mean, max(0.0, low)), max(mean, min(1.0, high)))


def design_effect(counts: Counts) -> float:
    """How many times the variance of the share is that of independent tries; 1 or more.

    The variance between trials is that of a ratio estimator (J. N. K. Rao and A. J. Scott, Biometrics 48, 1992). One
    trial, or a share of 0 or 1, shows no difference between trials: 1.
    """
    used = [(done, tried) for done, tried in counts if tried]
    tries = sum(tried for _, tried in used)
    mean = sum(done for done, _ in used) / tries
    if len(used) < 2 or mean in (0.0, 1.0):
        return 1.0
    squares = math.fsum((done - tried * mean) ** 2 for done, tried in used)
    variance = len(used) / (len(used) - 1) * squares / tries**2
    return max(1.0, variance / (mean * (1 - mean) / tries))


def _wilson(mean: float, tries: float, reach: float) -> tuple[float, float]:
    """Both ends for a number of tries that need not be whole (SciPy's takes whole ones only)."""
    scale = 1 + reach**2 / tries
    centre = (mean + reach**2 / (2 * tries)) / scale
    half = reach / scale * math.sqrt(mean * (1 - mean) / tries + reach**2 / (4 * tries**2))
    return centre - half, centre + half
