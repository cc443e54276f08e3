"""Latency over time in one trial of each system: what the percentiles of a phase are made of. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from loadtests.analysis.following import timeline as following
from loadtests.analysis.measure import measure
from loadtests.analysis.phase_result import PhaseResult
from loadtests.analysis.raw import RawTrial, Request
from loadtests.analysis.summaries import percentile
from loadtests.experiments.experiment import Experiment
from loadtests.experiments.metrics import ALL
from loadtests.planning.plan import system_of

Timelines = dict[tuple[str, str], dict[str, Any]]
"""(name of the experiment, id of the system) → the timeline of its first valid trial."""
STEP_SECONDS = 1.0


def measure_with_timelines(
    trials: Iterable[RawTrial], experiments: Sequence[Experiment]
) -> tuple[list[PhaseResult], Timelines]:
    """The results of all trials, and a timeline for each system. Only one trial's rows are in memory at a time."""
    found: list[PhaseResult] = []
    timelines: Timelines = {}
    for trial in trials:
        results = measure(trial)
        found += results
        if not any(result.doubts for result in results) and not trial.facts.get("rate"):
            for experiment in experiments:
                system = system_of(experiment, trial.facts)
                if system and (experiment.name, system.id) not in timelines:
                    timelines |= _of(experiment, system.id, trial)
    return found, timelines


def _of(experiment: Experiment, system: str, trial: RawTrial) -> Timelines:
    """The timeline as results.json has it; empty where there is none: turns are pieces of many seconds each."""
    if experiment.turns:
        return {}
    endpoint = _endpoint(experiment)
    phases = [
        (index, trial.window(index))
        for index, phase in enumerate(trial.phases)
        if phase.record and phase.experiment == experiment.name
    ]
    if not phases:
        return {}
    zero = phases[0][1][0]
    timeout_ms = trial.facts["timeout_seconds"] * 1000
    recorded = {index for index, _ in phases}
    steps: dict[int, list[float]] = {}
    for request in trial.requests:
        if request.phase in recorded and _counts(request, endpoint):
            step = int((request.intended - zero) / STEP_SECONDS)
            steps.setdefault(step, []).append(timeout_ms if request.start is None else request.latency_ms)
    timeline = {
        "id": system,
        "repeat": trial.facts["repeat"],
        "endpoint": endpoint,
        "phases": [
            {"name": trial.phases[index].name, "begin": round(begin - zero, 3), "end": round(end - zero, 3)}
            for index, (begin, end) in phases
        ],
        "seconds": [step * STEP_SECONDS for step in sorted(steps)],
        "p50_ms": [round(percentile(steps[step], 0.5), 2) for step in sorted(steps)],
        "p95_ms": [round(percentile(steps[step], 0.95), 2) for step in sorted(steps)],
    }
    replicas = [found for index, _ in phases if (found := following(trial, index, zero))]
    if replicas:
        timeline |= {name: [step for each in replicas for step in each[name]] for name in ("demand", "ready")}
    return {(experiment.name, system): timeline} if steps else {}


def _endpoint(experiment: Experiment) -> str:
    """What the primary claims are about, or else all requests."""
    named = [
        claim.endpoint
        for claim in experiment.claims
        if claim.primary and not claim.endpoint.startswith("WAIT ")
    ]
    return next(iter(named), ALL)


def _counts(request: Request, endpoint: str) -> bool:
    return request.is_request if endpoint == ALL else request.route == endpoint
