"""Student's t, from SciPy. Loading SciPy takes 0.1 s, so only the analysis does it, never the generator."""

from functools import cache

from scipy.special import stdtr, stdtrit

CONFIDENCE = 0.95


def p_value(t: float, freedom: float) -> float:
    """The two-sided p-value of `t` with that many degrees of freedom. ValueError where SciPy would return nan."""
    if freedom <= 0 or t < 0:
        raise ValueError("Student's t needs a positive degree of freedom and a t of at least 0")
    return float(2 * stdtr(freedom, -t))


@cache
def critical_value(freedom: float, confidence: float = CONFIDENCE) -> float:
    """The half width of an interval in standard errors: 4.30 at two degrees of freedom, 1.96 at many."""
    return float(stdtrit(freedom, (1 + confidence) / 2))
