"""A measured number that may be only a bound of the true one, and what becomes of it in products and ratios. Pure.

Three things make bounds: a percentile that falls among failures or among requests that were cut off, a capacity that is
only known to lie in a bracket, and a shop that served nothing. A bound that is lost on the way becomes a number that
nobody measured, so the ends are carried along with the value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Number:
    """A positive number. The true one lies between `low` (0: unknown) and `high` (infinity: unknown)."""

    value: float
    low: float
    high: float

    @classmethod
    def exact(cls, value: float) -> "Number":
        """A number that is known."""
        return cls(value, value, value)

    @classmethod
    def at_least(cls, value: float) -> "Number":
        """A lower bound. Example: a request that timed out would have taken longer."""
        return cls(value, value, math.inf)

    @classmethod
    def at_most(cls, value: float) -> "Number":
        """An upper bound."""
        return cls(value, 0.0, value)

    @classmethod
    def between(cls, low: float, high: float) -> "Number":
        """A number in a bracket; its value is the geometric mean of the ends."""
        return cls(math.sqrt(low * high), low, high)


def product(numbers: Sequence[Number]) -> Number:
    """The product; its ends are the products of the ends."""
    return Number(
        math.prod(each.value for each in numbers),
        math.prod(each.low for each in numbers),
        math.prod(each.high for each in numbers),
    )


def quotient(above: Number, below: Number) -> Number:
    """The ratio of two numbers. It is smallest where the numerator is smallest and the denominator largest."""
    return Number(
        above.value / below.value, above.low / below.high, above.high / below.low if below.low else math.inf
    )
