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
}

Values = Mapping[tuple[str, str], Mapping[int, PhaseResult]]
"""(system id, phase) → repeat → its valid result."""


def analyse(
    machine: Mapping[str, Any], experiments: Sequence[Experiment], trials: Iterable[RawTrial]
) -> dict[str, Any]:
    """The whole of results.json."""
    measured = [result for trial in trials for result in measure(trial)]
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
        "verdicts": [_verdict(claim, values, experiment.seed) for claim in experiment.claims],
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


def _estimates(experiment: Experiment, values: Values) -> Iterable[dict[str, Any]]:
    """A number with its interval for everything that a chart or a claim speaks of."""
    wanted = dict.fromkeys(
        [
            *((each.metric, each.endpoint, phase) for each in experiment.charts for phase in each.phases),
            *(
                (each.metric, each.endpoint, name.partition("/")[2])
                for each in experiment.claims
                for name in (*each.of, *each.over)
            ),
        ]
    )
    for metric, endpoint, phase in wanted:
        for system in experiment.systems:
            found = _numbers(values, system, phase, metric, endpoint)
            if found:
                result = interval(found, experiment.seed)
                yield {
                    "metric": metric_name(metric, endpoint, phase),
                    "system": system.system,
                    "replicas": dict(system.replicas),
                    "value": _rounded(result.value),
                    "low": _rounded(result.low),
                    "high": _rounded(result.high),
                    "unit": UNITS[metric],
                }


def _numbers(values: Values, system: System, phase: str, metric: str, endpoint: str) -> list[float]:
    results = values.get((system.id, phase), {})
    found = (results[repeat].value(metric, endpoint) for repeat in sorted(results))
    return [number for number in found if number is not None]


def _verdict(claim: Claim, values: Values, seed: int) -> dict[str, Any]:
    result = _ratio(claim, values, seed)
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


def _ratio(claim: Claim, values: Values, seed: int) -> Interval | None:
    """The claim's ratio over the repeats in which everything that it needs is valid; None when there is none."""
    above, below = [], []
    repeats = {repeat for results in values.values() for repeat in results}
    for repeat in sorted(repeats):
        of = [_one(values, name, repeat, claim) for name in claim.of]
        over = [_one(values, name, repeat, claim) for name in claim.over]
        if None not in of and None not in over:
            above.append(math.prod(number for number in of if number is not None))
            below.append(math.prod(number for number in over if number is not None))
    return ratio(above, below, seed) if above else None


def _one(values: Values, name: str, repeat: int, claim: Claim) -> float | None:
    system, _, phase = name.partition("/")
    result = values.get((system, phase), {}).get(repeat)
    return result.value(claim.metric, claim.endpoint) if result else None


def _rounded(value: float | None) -> float | None:
    """Five significant digits: more than any interval here supports."""
    return None if value is None else float(f"{value:.5g}")
