"""How precisely claims are known, and how many repeats a wanted precision takes. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loadtests.analysis.student import critical_value

MAX_REPEATS = 100


@dataclass(frozen=True)
class Precision:
    """The least precise primary claim of an experiment: its name, and the half width of its interval."""

    claim: str
    half_width: float

    def __str__(self) -> str:
        known = f"to ±{self.half_width:.0%}" if math.isfinite(self.half_width) else "on one side only"
        return f'"{self.claim}" is known {known}'


def precision(measured: Mapping[str, Any]) -> Precision:
    """Of an experiment's entry in results.json; of all its claims where none is primary."""
    primary = [each for each in measured["verdicts"] if each["primary"]] or measured["verdicts"]
    return max(
        (Precision(each["claim"], half_width(each)) for each in primary), key=lambda each: each.half_width
    )


def half_width(verdict: Mapping[str, Any]) -> float:
    """Half of the 95 % interval: 0.1 is ±10 %, of a share ±10 points. Infinite where an end is not known."""
    low, high = verdict["low"], verdict["high"]
    if low is None or high is None:
        return math.inf
    if verdict.get("unit") == "share":
        return float(high - low) / 2
    return math.sqrt(high / low) - 1 if low > 0 else math.inf


def repeats_needed(width: float, repeats: int, goal: float) -> int | None:
    """The repeats that `goal` takes, if so many gave the half width `width`; None if that is not known.

    The repeats are taken to differ as much in future. Student's quantile falls with their number too. None also for
    more than MAX_REPEATS.
    """
    if repeats < 2 or not math.isfinite(width):
        return None
    spread = math.log1p(width) * math.sqrt(repeats) / critical_value(repeats - 1)
    for count in range(2, MAX_REPEATS + 1):
        if critical_value(count - 1) * spread / math.sqrt(count) <= math.log1p(goal):
            return count
    return None
