"""What keeps growing while a shop serves: memory, handles or threads of one process. Pure.

A process that warms up grows too, and then stops. So a trend counts only if it is shown for the whole phase, and if it
is large enough to matter: a garbage collector and a pool of connections move both ways all the time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import theilslopes

from loadtests.analysis.raw import RawTrial

MIN_SECONDS = 300.0
"""In a shorter phase nobody can tell a trend from the warm-up."""
BLOCKS = 20
"""The series is cut into so many parts, each represented by its median: samples a second apart say nearly the same."""
CONFIDENCE = 0.99
MEMORY_SHARE = 0.05
"""Growth of memory over the phase that is reported, as a share of where it began."""
COUNT_SHARE, COUNT = 0.05, 2.0
"""The same for handles and threads, and the least number of them."""


@dataclass(frozen=True)
class Trend:
    """Growth over the whole series in the unit of its values: Theil-Sen's estimate, and an interval for it."""

    first: float
    """Where it began: the estimate's line at the first value."""
    grown: float
    low: float
    high: float


def trend(at: Sequence[float], values: Sequence[float]) -> Trend | None:
    """The trend of a series (Sen, Journal of the American Statistical Association 63, 1968); None for a short one."""
    if len(at) < 2 * BLOCKS:
        return None
    parts = np.array_split(np.arange(len(at)), BLOCKS)
    times = np.array([np.mean(np.asarray(at)[part]) for part in parts])
    levels = np.array([np.median(np.asarray(values, dtype=float)[part]) for part in parts])
    slope, intercept, low, high = theilslopes(levels, times, alpha=CONFIDENCE)
    seconds = at[-1] - at[0]
    return Trend(
        float(intercept + slope * at[0]), float(slope * seconds), float(low * seconds), float(high * seconds)
    )


def growing(trial: RawTrial, turns: Sequence[int]) -> Iterator[str]:
    """A sentence without a full stop for each process that grows all through a long phase."""
    if len(turns) > 1 or trial.phases[turns[0]].seconds < MIN_SECONDS:
        return
    begin, end = trial.window(turns[0])
    for name in trial.replicas:
        usage = trial.usage[name]
        inside = [place for place, at in enumerate(usage.at) if begin <= at <= end and usage.uss[place]]
        at = [usage.at[place] for place in inside]
        if not at or at[-1] - at[0] < 0.9 * (end - begin):
            continue  # it was not there all the time
        memory = trend(at, [usage.uss[place] for place in inside])
        if memory and _is_shown(memory, MEMORY_SHARE * memory.first):
            yield f"the memory of {name} grew by {_per_hour(memory, at) / 1e6:.1f} MB an hour all through the phase"
        for what, values in usage.kept.items():
            kept = trend(at, [values[place] for place in inside])
            if kept and _is_shown(kept, max(COUNT, COUNT_SHARE * kept.first)):
                yield f"the {what} of {name} grew by {_per_hour(kept, at):.0f} an hour all through the phase"


def _is_shown(found: Trend, least: float) -> bool:
    """Whether it grew for sure, and by more than the least that counts."""
    return found.low > 0 and found.grown >= least


def _per_hour(found: Trend, at: Sequence[float]) -> float:
    return found.grown / (at[-1] - at[0]) * 3600
