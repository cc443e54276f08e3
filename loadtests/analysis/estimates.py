"""Estimates: for everything that a chart or a claim is about, a number with its interval over repeats. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from loadtests.analysis.numbers import Number
from loadtests.analysis.phase_result import SHARE_METRICS, PhaseResult
from loadtests.analysis.selection import Selected
from loadtests.analysis.shares import share
from loadtests.analysis.stats import Bound, Interval, interval_of_numbers, rounded
from loadtests.analysis.student import CONFIDENCE
from loadtests.experiments import metrics
from loadtests.experiments.experiment import Experiment
from loadtests.experiments.metrics import METRICS
from loadtests.experiments.parts import System

Results = Mapping[int, PhaseResult]
"""Repeat → result, of one system in one phase."""


def estimates(experiment: Experiment, selected: Selected) -> Iterable[dict[str, Any]]:
    """The entries of `estimates` in results.json."""
    for metric, endpoint, phase, system in wanted(experiment):
        result = estimate(selected.get((system.id, phase), {}), metric, endpoint)
        if result:
            yield {
                "metric": metric,
                "endpoint": endpoint,
                "phase": phase,
                "name": metrics.name(metric, endpoint, phase),
                "id": system.id,
                "system": system.system,
                "replicas": dict(system.replicas),
                **({"products": system.products} if system.products else {}),
                **({"route": system.route_facts} if system.route else {}),
                **as_entry(result),
                "unit": METRICS[metric].unit,
            }


def as_entry(result: Interval) -> dict[str, Any]:
    """An interval as results.json has it. `bound`: "at least", "at most", "unknown", or None for an estimate."""
    return {
        "value": rounded(result.value),
        "low": rounded(result.low),
        "high": rounded(result.high),
        "bound": result.bound and result.bound.value,
    }


def estimate(results: Results, metric: str, endpoint: str, confidence: float = CONFIDENCE) -> Interval | None:
    """A number of one system in one phase, with its interval over repeats; None if nothing was measured."""
    if metric in SHARE_METRICS:
        return _share(results, metric, endpoint, confidence)
    found = numbers(results, metric, endpoint)
    return interval_of_numbers(found, confidence) if found else None


def _share(results: Results, metric: str, endpoint: str, confidence: float) -> Interval | None:
    """A share. What was cut off may be a success or not: the low end counts none of it, the high end all of it."""
    found = [each.counts(metric, endpoint) for each in results.values()]
    counts = [each for each in found if each]
    if not counts:
        return None
    low = share([(done, tried) for done, _, tried in counts], confidence)
    if not any(unknown for _, unknown, _ in counts):
        return low
    high = share([(done + unknown, tried) for done, unknown, tried in counts], confidence)
    return Interval(low.value, low.low, high.high, Bound.AT_LEAST)


def wanted(experiment: Experiment) -> Iterable[tuple[str, str, str, System]]:
    """Metric, endpoint, phase and system of everything that a chart or a claim is about, each once."""
    measurements = dict.fromkeys(
        [
            *((each.metric, each.endpoint, phase) for each in experiment.charts for phase in each.phases),
            *(
                (each.metric, each.endpoint, name.partition("/")[2])
                for each in experiment.claims
                for name in (*each.of, *each.over)
            ),
        ]
    )
    return ((*each, system) for each in measurements for system in experiment.systems)


def numbers(results: Results, metric: str, endpoint: str) -> list[Number]:
    """One number per repeat, in the order of repeats, without the repeats that have none."""
    found = (results[repeat].number(metric, endpoint) for repeat in sorted(results))
    return [number for number in found if number is not None]
