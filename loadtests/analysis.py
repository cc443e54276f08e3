"""From raw trials to results.json (schema 1): trials, estimates, verdicts. Pure; the report is made of its result."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loadtests.experiment import Claim, Experiment, System
from loadtests.measure import PhaseResult, measure
from loadtests.plan import system_of
from loadtests.raw import RawTrial
from loadtests.stats import Interval, Verdict, interval, judge_bar, judge_direction, ratio

SCHEMA = 1
UNITS = {
    "throughput_rps": "requests/s",
    "p50_ms": "ms",
    "p95_ms": "ms",
    "p99_ms": "ms",
    "cpu_us_per_request": "µs",
    "uss_bytes": "bytes",
    "cpu_cores": "cores",
    "instances": "instances",
    "databases": "databases",
    "ready_seconds": "s",
}

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
    """The first valid attempt of each repeat."""
    values: dict[tuple[str, str], dict[int, PhaseResult]] = {}
    for result in measured:
        system = system_of(experiment, result.system, result.replicas)
        if system is not None and not result.doubts:
            values.setdefault((system.id, result.phase), {}).setdefault(result.repeat, result)
    return values


def metric_name(metric: str, endpoint: str, phase: str) -> str:
    """How an estimate is called in results.json."""
    return f"{metric} of {endpoint} in {phase}"


def per_repeat(
    experiment: Experiment, measured: Iterable[PhaseResult]
) -> tuple[list[list[float]], dict[tuple[str, str, str], list[float]]]:
    """What intervals are made of: for each claim its ratio in each repeat, and for each estimate its values.

    Estimates are called by metric, system's label and unit.
    """
    values = _valid(experiment, [result for result in measured if result.experiment == experiment.name])
    ratios = [[above / below for above, below in _pairs(claim, values)] for claim in experiment.claims]
    numbers = {
        (metric_name(metric, endpoint, phase), system.label, UNITS[metric]): found
        for metric, endpoint, phase, system in _wanted(experiment)
        if (found := _numbers(values, system, phase, metric, endpoint))
    }
    return ratios, numbers


def _estimates(experiment: Experiment, values: Values) -> Iterable[dict[str, Any]]:
    """A number with its interval for everything that a chart or a claim speaks of."""
    for metric, endpoint, phase, system in _wanted(experiment):
        found = _numbers(values, system, phase, metric, endpoint)
        if found:
            result = interval(found)
            yield {
                "metric": metric_name(metric, endpoint, phase),
                "system": system.system,
                "replicas": dict(system.replicas),
                "value": _rounded(result.value),
                "low": _rounded(result.low),
                "high": _rounded(result.high),
                "unit": UNITS[metric],
            }


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


def _numbers(values: Values, system: System, phase: str, metric: str, endpoint: str) -> list[float]:
    results = values.get((system.id, phase), {})
    found = (results[repeat].value(metric, endpoint) for repeat in sorted(results))
    return [number for number in found if number is not None]


def _verdict(claim: Claim, values: Values) -> dict[str, Any]:
    result = _ratio(claim, values)
    if result is None:
        number, verdict = None, Verdict.INCONCLUSIVE
    elif claim.judge == "bar" and claim.bar:
        number, verdict = result.value, judge_bar(result, claim.bar)
    else:
        number, verdict = result.value, judge_direction(result, claims_more=claim.more)
    number = _rounded(number)
    shown = "?" if number is None else f"{number:.2f}"
    return {
        "claim": claim.claim,
        "statement": claim.statement.replace("{ratio}", shown),
        "ratio": number,
        "low": _rounded(result.low if result else None),
        "high": _rounded(result.high if result else None),
        "verdict": verdict.value,
    }


def _ratio(claim: Claim, values: Values) -> Interval | None:
    """The claim's ratio; None when no repeat has all that it needs."""
    pairs = list(_pairs(claim, values))
    return ratio([above for above, _ in pairs], [below for _, below in pairs]) if pairs else None


def _pairs(claim: Claim, values: Values) -> Iterable[tuple[float, float]]:
    """Both sides of the claim's ratio in each repeat in which everything that it needs is valid."""
    repeats = {repeat for results in values.values() for repeat in results}
    for repeat in sorted(repeats):
        of = [_one(values, name, repeat, claim) for name in claim.of]
        over = [_one(values, name, repeat, claim) for name in claim.over]
        if None not in of and None not in over:
            yield (
                math.prod(number for number in of if number is not None),
                math.prod(number for number in over if number is not None),
            )


def _one(values: Values, name: str, repeat: int, claim: Claim) -> float | None:
    system, _, phase = name.partition("/")
    result = values.get((system, phase), {}).get(repeat)
    return result.value(claim.metric, claim.endpoint) if result else None


def _rounded(value: float | None) -> float | None:
    """Five significant digits: more than any interval here supports."""
    return None if value is None else float(f"{value:.5g}")
