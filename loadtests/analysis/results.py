"""From raw trials to results.json (schema 2): trials, estimates, verdicts. Pure; the report is made of its result."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loadtests.analysis.measure import PhaseResult, answered, measure
from loadtests.analysis.raw import RawTrial
from loadtests.analysis.searches import answer
from loadtests.analysis.stats import (
    Interval,
    Number,
    Verdict,
    interval,
    judge_bar,
    judge_direction,
    product,
    ratio_of,
    share,
)
from loadtests.experiments import metrics
from loadtests.experiments.claims import Claim
from loadtests.experiments.experiment import Experiment
from loadtests.experiments.metrics import METRICS, amount
from loadtests.experiments.parts import System
from loadtests.planning.plan import system_of

SCHEMA = 2

Values = Mapping[tuple[str, str], Mapping[int, PhaseResult]]
"""(system id, phase) → repeat → its valid result."""


def analyse(
    machine: Mapping[str, Any], experiments: Sequence[Experiment], trials: Iterable[RawTrial]
) -> dict[str, Any]:
    """The whole of results.json."""
    return results_of(machine, experiments, measure_all(trials))


def measure_all(trials: Iterable[RawTrial]) -> list[PhaseResult]:
    """The numbers of all trials; only one trial's rows need be held at a time."""
    return [result for trial in trials for result in measure(trial)]


def results_of(
    machine: Mapping[str, Any], experiments: Sequence[Experiment], measured: Sequence[PhaseResult]
) -> dict[str, Any]:
    """The same of trials that were measured already."""
    return {
        "schema": SCHEMA,
        "machine": dict(machine),
        "experiments": [
            _experiment(each, [result for result in measured if result.experiment == each.name])
            for each in experiments
        ],
    }


def is_valid(trial: RawTrial) -> bool:
    """Whether no recorded phase of the trial gives a reason to doubt it."""
    return not any(result.doubts for result in measure(trial))


def _experiment(experiment: Experiment, measured: Sequence[PhaseResult]) -> dict[str, Any]:
    values = _valid(experiment, measured)
    return {
        "name": experiment.name,
        "question": experiment.question,
        "seed": experiment.seed,
        "trials": [result.as_trial() for result in measured],
        "estimates": list(_estimates(experiment, values)),
        "verdicts": [_verdict(claim, values) for claim in experiment.claims],
    }


def _valid(experiment: Experiment, measured: Iterable[PhaseResult]) -> Values:
    """The first valid attempt of each repeat; of a search, the probe that stands for its answer.

    Of those that took turns, first of all an attempt in which nobody's was void: its ratios share every mood.
    """
    found: dict[tuple[str, str], dict[int, list[PhaseResult]]] = {}
    every = list(measured)
    broken = {result.sitting for result in every if result.doubts and result.sitting}
    for result in sorted(every, key=lambda result: result.sitting in broken):
        system = system_of(experiment, vars(result))
        if system is not None and not result.doubts:
            found.setdefault((system.id, result.phase), {}).setdefault(result.repeat, []).append(result)
    return {
        key: {
            repeat: stands
            for repeat, results in repeats.items()
            if (stands := _standing(experiment, key[1], results)) is not None
        }
        for key, repeats in found.items()
    }


def _standing(experiment: Experiment, phase: str, results: Sequence[PhaseResult]) -> PhaseResult | None:
    if experiment.search is None or phase != experiment.search.phase:
        return results[0]
    found = answer(experiment, results)
    return found[1] if found else None


def per_repeat(
    experiment: Experiment, measured: Iterable[PhaseResult]
) -> tuple[list[list[float]], dict[tuple[str, str, str], list[float]]]:
    """What intervals are made of: for each claim its ratio in each repeat, and for each estimate its values.

    Estimates are called by metric, system's label and unit.
    """
    values = _valid(experiment, [result for result in measured if result.experiment == experiment.name])
    ratios = [
        [above.value / below.value for above, below in _pairs(claim, values)] for claim in experiment.claims
    ]
    numbers = {
        (metrics.name(metric, endpoint, phase), system.label, METRICS[metric].unit): found
        for metric, endpoint, phase, system in _wanted(experiment)
        if (found := _numbers(values.get((system.id, phase), {}), metric, endpoint))
    }
    return ratios, numbers


def _estimates(experiment: Experiment, values: Values) -> Iterable[dict[str, Any]]:
    """A number with its interval for everything that a chart or a claim speaks of."""
    for metric, endpoint, phase, system in _wanted(experiment):
        result = _estimate(values.get((system.id, phase), {}), metric, endpoint)
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
                "value": _rounded(result.value),
                "low": _rounded(result.low),
                "high": _rounded(result.high),
                "unit": METRICS[metric].unit,
            }


def _estimate(results: Mapping[int, PhaseResult], metric: str, endpoint: str) -> Interval | None:
    """A number of one system in one phase with its interval over repeats; None when nobody measured it."""
    if metric == "answered_share":
        counts = [answered(each.metrics[endpoint]) for each in results.values() if endpoint in each.metrics]
        return share(counts) if counts else None
    found = _numbers(results, metric, endpoint)
    return interval(found) if found else None


def _wanted(experiment: Experiment) -> Iterable[tuple[str, str, str, System]]:
    """Metric, endpoint, phase and system of everything that a chart or a claim speaks of, each once."""
    spoken_of = dict.fromkeys(
        [
            *((each.metric, each.endpoint, phase) for each in experiment.charts for phase in each.phases),
            *(
                (each.metric, each.endpoint, name.partition("/")[2])
                for each in experiment.claims
                for name in (*each.of, *each.over)
            ),
        ]
    )
    return ((*each, system) for each in spoken_of for system in experiment.systems)


def _numbers(results: Mapping[int, PhaseResult], metric: str, endpoint: str) -> list[float]:
    found = (results[repeat].value(metric, endpoint) for repeat in sorted(results))
    return [number for number in found if number is not None]


def _verdict(claim: Claim, values: Values) -> dict[str, Any]:
    result = _ratio(claim, values) if claim.over else _value(claim, values)
    silent = sum(None in (*of, *over) for of, over in _sides(claim, values))
    if result is None or silent:
        verdict = Verdict.INCONCLUSIVE
    elif claim.judge == "bar" and claim.bar:
        verdict = judge_bar(result, claim.bar)
    else:
        verdict = judge_direction(result, claims_more=claim.more)
    unit = None if claim.over else METRICS[claim.metric].unit
    statement = claim.statement.replace("{ratio}", _in_words(result, unit))
    if silent:
        count = "one repeat" if silent == 1 else f"{silent} repeats"
        statement += f" In {count} a side had no such request at all, so this cannot be told."
    return {
        "claim": claim.claim,
        "statement": statement,
        "ratio": _rounded(result.value if result else None),
        "low": _rounded(result.low if result else None),
        "high": _rounded(result.high if result else None),
        "verdict": verdict.value,
        **({"unit": unit} if unit else {}),
    }


def _in_words(result: Interval | None, unit: str | None) -> str:
    """The number as it reads in a sentence; a single open end makes it a bound."""
    if result is None:
        return "?"
    bound = "" if (result.low is None) == (result.high is None) else "at least " if result.low else "at most "
    return f"{bound}{amount(result.value, unit)}"


def _value(claim: Claim, values: Values) -> Interval | None:
    """The claim's metric itself; None when nobody measured it."""
    system, _, phase = claim.of[0].partition("/")
    return _estimate(values.get((system, phase), {}), claim.metric, claim.endpoint)


def _ratio(claim: Claim, values: Values) -> Interval | None:
    """The claim's ratio; None when no repeat has all that it needs."""
    pairs = list(_pairs(claim, values))
    return ratio_of(pairs) if pairs else None


def _pairs(claim: Claim, values: Values) -> Iterable[tuple[Number, Number]]:
    """Both sides of the claim's ratio in each repeat in which it can be told."""
    for of, over in _sides(claim, values):
        if None not in of and None not in over:
            yield (
                product([number for number in of if number is not None]),
                product([number for number in over if number is not None]),
            )


def _sides(claim: Claim, values: Values) -> Iterable[tuple[list[Number | None], list[Number | None]]]:
    """The numbers of both sides in each repeat in which everything that the claim speaks of is valid."""
    repeats = {repeat for results in values.values() for repeat in results}
    for repeat in sorted(repeats):
        of = [_one(values, name, repeat) for name in claim.of]
        over = [_one(values, name, repeat) for name in claim.over]
        if None not in of and None not in over:
            yield (
                [result.number(claim.metric, claim.endpoint) for result in of if result],
                [result.number(claim.metric, claim.endpoint) for result in over if result],
            )


def _one(values: Values, name: str, repeat: int) -> PhaseResult | None:
    system, _, phase = name.partition("/")
    return values.get((system, phase), {}).get(repeat)


def _rounded(value: float | None) -> float | None:
    """Five significant digits: more than any interval here supports."""
    return None if value is None else float(f"{value:.5g}")
