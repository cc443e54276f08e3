"""Student's t for whole degrees of freedom, exact, so that the lab needs no library of statistics for it. Pure."""

import math
from functools import cache

CONFIDENCE = 0.95
HALVINGS = 200


def two_sided(t: float, freedom: int) -> float:
    """The chance of a |T| of at least `t` with that many degrees of freedom.

    The finite sums of M. Abramowitz and I. Stegun, Handbook of Mathematical Functions, 1964, 26.7.3 and 26.7.4.
    """
    if freedom < 1 or t < 0:
        raise ValueError("Student's t needs a degree of freedom and a t of at least 0")
    angle = math.atan2(t, math.sqrt(freedom))
    cosine = math.cos(angle)
    odd = freedom % 2 == 1
    term, total = (cosine if odd else 1.0), 0.0
    for below in range(3 if odd else 2, freedom + 1, 2):
        total += term
        term *= cosine**2 * (below - 1) / below
    total *= math.sin(angle)
    inside = 2 / math.pi * (angle + total) if odd else total
    return min(1.0, max(0.0, 1 - inside))


@cache
def reach(freedom: int, confidence: float = CONFIDENCE) -> float:
    """How many standard errors an interval reaches to either side: 4.30 at two degrees of freedom, 1.96 at many."""
    low, high = 0.0, 1e6
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided(middle, freedom) > 1 - confidence else (low, middle)
    return high
