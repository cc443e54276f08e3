"""Estimates: for everything that a chart or a claim is about, a number with its interval over repeats. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from loadtests.analysis.phase_result import PhaseResult
from loadtests.analysis.routes import succeeded
from loadtests.analysis.selection import Selected
from loadtests.analysis.stats import Interval, interval, rounded, share
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
                "value": rounded(result.value),
                "low": rounded(result.low),
                "high": rounded(result.high),
                "unit": METRICS[metric].unit,
            }


def estimate(results: Results, metric: str, endpoint: str) -> Interval | None:
    """A number of one system in one phase, with its interval over repeats; None if nothing was measured."""
    if metric == "answered_share":
        counts = [succeeded(each.metrics[endpoint]) for each in results.values() if endpoint in each.metrics]
        return share(counts) if counts else None
    found = values(results, metric, endpoint)
    return interval(found) if found else None


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


def values(results: Results, metric: str, endpoint: str) -> list[float]:
    """One number per repeat, in the order of repeats, without the repeats that have none."""
    found = (results[repeat].value(metric, endpoint) for repeat in sorted(results))
    return [number for number in found if number is not None]
