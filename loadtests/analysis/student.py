"""Student's t, from SciPy. What SciPy costs: 0.1 s of start-up, so only the analysis loads it, never the generator."""

from functools import cache

from scipy.special import stdtr, stdtrit

CONFIDENCE = 0.95


def two_sided(t: float, freedom: float) -> float:
    """The chance of a |T| of at least `t` with that many degrees of freedom; ValueError where SciPy would say nan."""
    if freedom <= 0 or t < 0:
        raise ValueError("Student's t needs a positive degree of freedom and a t of at least 0")
    return float(2 * stdtr(freedom, -t))


@cache
def reach(freedom: float, confidence: float = CONFIDENCE) -> float:
    """How many standard errors an interval reaches to either side: 4.30 at two degrees of freedom, 1.96 at many."""
    return float(stdtrit(freedom, (1 + confidence) / 2))
