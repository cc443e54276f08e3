"""Searches for capacity within a run: which rate is tried next, and which trial stands for the answer. Pure.

One probe is one trial with fresh processes. Searches of different systems and repeats go on side by side: each time a
probe ends, the next of its search joins the end of the queue, so that the systems keep taking turns.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from loadtests.analysis.measure import PhaseResult, answered
from loadtests.experiments.experiment import Experiment
from loadtests.experiments.parts import SearchSpec
from loadtests.planning.capacity import Bracket, Probe, Promise, Search
from loadtests.planning.trials import Trial


def follow(experiment: Experiment, trial: Trial, probes: Iterable[PhaseResult]) -> Trial | None:
    """The next probe after `trial`, given all valid results of its search so far; None when the search is over."""
    if experiment.search is None:
        return None
    found = _next_rate(experiment.search, probes)
    return None if isinstance(found, Bracket) else trial.at_rate(experiment, found)


def answer(experiment: Experiment, probes: Sequence[PhaseResult]) -> tuple[Bracket, PhaseResult] | None:
    """The bracket and the fastest probe that kept the promise twice, as the result that stands for the search.

    It has the capacity (the bracket's lower end, visits per second) among its numbers. None while the search is not
    over, and when nothing was kept.
    """
    if experiment.search is None:
        return None
    found = _next_rate(experiment.search, probes)
    if not isinstance(found, Bracket) or not found.low:
        return None
    best = next(each for each in reversed(probes) if each.rate == found.low and kept(experiment.search, each))
    return found, replace(best, of_shop={**best.of_shop, "capacity_rps": found.low})


def kept(search: SearchSpec, result: PhaseResult) -> bool:
    """Whether the promise was kept in a probe: for its endpoint's p95, and over all that was asked for the rest."""
    everything, measured = result.metrics.get("all"), result.metrics.get(search.endpoint)
    if not everything or not measured:
        return False
    done, asked = answered(everything)
    failed = float(everything["errors"] or 0) / asked
    return Promise(search.p95_ms, search.errors, search.achieved).kept(
        measured["p95_ms"], failed, done / asked
    )


def _next_rate(search: SearchSpec, probes: Iterable[PhaseResult]) -> float | Bracket:
    history = [Probe(each.rate, kept(search, each)) for each in probes if each.rate is not None]
    return Search(search.start, search.width, search.least, search.most).next_rate(history)
