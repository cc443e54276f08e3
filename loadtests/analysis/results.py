"""From raw trials to results.json (schema 3): trials, estimates, verdicts. Pure; the report is made of its result."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loadtests.analysis.estimates import estimates, numbers, wanted
from loadtests.analysis.measure import measure
from loadtests.analysis.numbers import Number
from loadtests.analysis.phase_result import PhaseResult
from loadtests.analysis.raw import RawTrial
from loadtests.analysis.selection import select
from loadtests.analysis.timelines import Timelines, measure_with_timelines
from loadtests.analysis.verdicts import ratios, verdicts
from loadtests.experiments import metrics
from loadtests.experiments.experiment import Experiment
from loadtests.experiments.metrics import METRICS

SCHEMA = 3


def analyse(
    machine: Mapping[str, Any], experiments: Sequence[Experiment], trials: Iterable[RawTrial]
) -> dict[str, Any]:
    """All of results.json, from raw trials."""
    return results_of(machine, experiments, *measure_with_timelines(trials, experiments))


def measure_all(trials: Iterable[RawTrial]) -> list[PhaseResult]:
    """The results of all trials. Only one trial's rows are in memory at a time, if `trials` is lazy."""
    return [result for trial in trials for result in measure(trial)]


def results_of(
    machine: Mapping[str, Any],
    experiments: Sequence[Experiment],
    measured: Sequence[PhaseResult],
    timelines: Timelines | None = None,
) -> dict[str, Any]:
    """All of results.json, from results that were measured before."""
    return {
        "schema": SCHEMA,
        "machine": dict(machine),
        "experiments": [
            {**_experiment(each, _of(each, measured)), "timelines": _timelines(each, timelines or {})}
            for each in experiments
        ],
    }


def is_valid(trial: RawTrial) -> bool:
    """Whether no recorded phase of the trial has a reason to be void."""
    return not any(result.doubts for result in measure(trial))


def per_repeat(
    experiment: Experiment, measured: Iterable[PhaseResult]
) -> tuple[list[list[Number]], dict[tuple[str, str, str], list[Number]]]:
    """The numbers behind the intervals, one per repeat, with their ends.

    First a list for each claim: its ratio in each repeat. Then a list for each estimate, by (name of the metric, label
    of the system, unit).
    """
    selected = select(experiment, _of(experiment, measured))
    measurements = {
        (metrics.name(metric, endpoint, phase), system.label, METRICS[metric].unit): found
        for metric, endpoint, phase, system in wanted(experiment)
        if (found := numbers(selected.get((system.id, phase), {}), metric, endpoint))
    }
    return [ratios(claim, selected) for claim in experiment.claims], measurements


def _of(experiment: Experiment, measured: Iterable[PhaseResult]) -> list[PhaseResult]:
    return [result for result in measured if result.experiment == experiment.name]


def _timelines(experiment: Experiment, timelines: Timelines) -> list[dict[str, Any]]:
    """The timelines of one experiment, in the order of its systems."""
    keys = [(experiment.name, system.id) for system in experiment.systems]
    return [timelines[key] for key in keys if key in timelines]


def _void(measured: Sequence[PhaseResult]) -> bool:
    return any(result.doubts for result in measured)


def _experiment(experiment: Experiment, measured: Sequence[PhaseResult]) -> dict[str, Any]:
    selected = select(experiment, measured)
    everything = select(experiment, measured, with_void=True) if _void(measured) else selected
    return {
        "name": experiment.name,
        "question": experiment.question,
        "seed": experiment.seed,
        "trials": [result.as_trial() for result in measured],
        "estimates": list(estimates(experiment, selected)),
        "verdicts": verdicts(experiment.claims, selected, everything),
    }
