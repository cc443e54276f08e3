"""Searches for capacity within a run: the next probe of a search, and its result. Pure.

One probe is one trial with new processes. The searches of different systems and repeats alternate: when a probe ends,
the next probe of its search goes to the end of the queue.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from loadtests.analysis.phase_result import PhaseResult
from loadtests.analysis.routes import latency, succeeded
from loadtests.experiments.experiment import Experiment
from loadtests.experiments.parts import SearchSpec
from loadtests.planning.capacity import Bracket, Probe, Promise, Search
from loadtests.planning.remaining import probes_left
from loadtests.planning.trials import Trial


def next_probe(experiment: Experiment, trial: Trial, probes: Iterable[PhaseResult]) -> Trial | None:
    """The probe after `trial`, given all valid results of its search so far; None when the search is over."""
    if experiment.search is None:
        return None
    found = _next_rate(experiment.search, probes)
    return None if isinstance(found, Bracket) else trial.at_rate(experiment, found)


def trials_left(experiment: Experiment, trial: Trial, probes: Iterable[PhaseResult]) -> tuple[int, int]:
    """The least and the most trials that the search of this trial still needs, given all its valid results so far."""
    if experiment.search is None:
        return 0, 0
    search = _search(experiment.search)
    history = tuple(_history(experiment.search, probes))
    first = history[0].rate if history else trial.rate or search.start
    return probes_left(replace(search, start=first), history)


def found_capacity(experiment: Experiment, probes: Sequence[PhaseResult]) -> PhaseResult | None:
    """The result that represents the search, with the bracket as its `capacity`. None while the search is not over.

    It is a probe at the highest rate that was kept, or one at the lowest rate where none was kept.
    """
    if experiment.search is None:
        return None
    search, found = experiment.search, _next_rate(experiment.search, probes)
    if not isinstance(found, Bracket):
        return None
    best = [each for each in probes if each.rate == found.low and kept(search, each)]
    lowest = min(probes, key=lambda each: each.rate or 0.0)
    return replace(best[-1] if best else lowest, capacity=found)


def kept(search: SearchSpec, result: PhaseResult) -> bool:
    """Whether a probe kept the promise: the p95 of its endpoint, errors and successes of all requests.

    A p95 that is a bound has to keep it at its highest, so that a short drain cannot keep a promise.
    """
    everything, measured = result.metrics.get("all"), result.metrics.get(search.endpoint)
    if not everything or not measured:
        return False
    successes, requests = succeeded(everything)
    failed = everything["errors"] / requests
    return Promise(search.p95_ms, search.errors, search.achieved).kept(
        latency(measured, "p95_ms").high, failed, successes / requests
    )


def _next_rate(spec: SearchSpec, probes: Iterable[PhaseResult]) -> float | Bracket:
    return _search(spec).next_rate(_history(spec, probes))


def _search(spec: SearchSpec) -> Search:
    return Search(spec.start, spec.width, spec.least, spec.most)


def _history(spec: SearchSpec, probes: Iterable[PhaseResult]) -> list[Probe]:
    return [Probe(each.rate, kept(spec, each)) for each in probes if each.rate is not None]
