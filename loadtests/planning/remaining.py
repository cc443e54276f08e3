"""How long a plan takes: a range where a search decides by its results how many trials it needs. Pure.

What is easy to get wrong: a search of eight trials on average is not eight trials. A total that grows while one waits
is worse than a wide range. So the range covers what can be expected of any shop, and narrows as brackets close.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from loadtests.experiments.experiment import Experiment
from loadtests.planning.capacity import Bracket, Probe, Search
from loadtests.planning.trials import Trial

REACH = 8.0
"""A capacity is expected within this factor of the rate at which the search starts, upwards and downwards."""
MARGINAL = 2
"""So many rates of a search may be near the capacity, where two trials disagree and a third decides."""
CAPACITIES = 25
MINUTE = 60


@dataclass(frozen=True)
class Span:
    """Seconds: at least and at most so many. Both are equal where nothing has to be found out."""

    least: float = 0.0
    most: float = 0.0

    def __add__(self, other: "Span") -> "Span":
        return Span(self.least + other.least, self.most + other.most)

    def scaled(self, least: float, most: float) -> "Span":
        """The span with its ends multiplied by these factors."""
        return Span(self.least * least, self.most * most)

    @property
    def middle(self) -> float:
        """The mean of both ends."""
        return (self.least + self.most) / 2

    def __str__(self) -> str:
        least, most = duration(self.least), duration(self.most)
        if least == most:
            return f"about {most}"
        (low, unit), (high, other) = least.split(), most.split()
        return f"{low} to {high} {unit}" if unit == other else f"{least} to {most}"


def duration(seconds: float) -> str:
    """Seconds for people: `45 s`, `3 min`."""
    return f"{seconds:.0f} s" if seconds < MINUTE else f"{seconds / MINUTE:.0f} min"


def span_of(trials: Iterable[Trial], probes: Mapping[str, tuple[int, int]]) -> Span:
    """How long the trials take. `probes` says how many trials each search still needs, its next one included."""
    total = Span()
    for trial in trials:
        least, most = probes[trial.key] if trial.probe else (1, 1)
        total += Span(least * trial.seconds, most * trial.seconds)
    return total


def fresh_searches(trials: Iterable[Trial], experiments: Sequence[Experiment]) -> dict[str, tuple[int, int]]:
    """By the key of its trials: how many trials each search that begins needs."""
    found = {}
    for trial in trials:
        search = search_of(trial, experiments)
        if search is not None and trial.probe:
            found[trial.key] = probes_left(search, ())
    return found


def search_of(trial: Trial, experiments: Sequence[Experiment]) -> Search | None:
    """The search that the trial is a probe of, started at its rate; None for an ordinary trial."""
    if trial.rate is None:
        return None
    spec = next(each.search for each in experiments if each.name == trial.experiment)
    if spec is None:
        return None
    return Search(trial.rate, spec.width, spec.least, spec.most)


@lru_cache(maxsize=1024)
def probes_left(search: Search, history: tuple[Probe, ...]) -> tuple[int, int]:
    """The least and the most trials that the search needs after `history`, for any capacity within its reach."""
    counts = [_trials_to_find(capacity, search, history) for capacity in _capacities(search, history)]
    return min(counts), max(counts) + (MARGINAL if max(counts) else 0)


def _capacities(search: Search, history: Sequence[Probe]) -> list[float]:
    """Capacities that are possible after `history`, evenly on a logarithmic scale."""
    kept = max((each.rate for each in history if each.kept), default=None)
    broken = min((each.rate for each in history if not each.kept), default=None)
    low = kept or min(search.start, broken or math.inf) / REACH
    high = broken or max(search.start, kept or 0.0) * REACH
    low, high = max(search.least / 2, min(low, high)), min(search.most * 2, max(low, high))
    return [low * (high / low) ** (each / (CAPACITIES - 1)) for each in range(CAPACITIES)]


def _trials_to_find(capacity: float, search: Search, history: Sequence[Probe]) -> int:
    """The trials of a search in a shop that keeps the promise exactly up to its capacity."""
    tried = list(history)
    while not isinstance(rate := search.next_rate(tried), Bracket):
        tried.append(Probe(rate, rate <= capacity))
    return len(tried) - len(history)
