"""What an experiment's scaling charts say in words: efficiency and the scalability law. Pure, from results.json."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loadtests.experiment import Chart, Experiment
from loadtests.ledger import DASH, TIMES
from loadtests.scaling import ENOUGH_SIZES, efficiency, fit
from loadtests.stats import Interval

NAMES = {"monolith": "The monolith", "microservices": "The split"}


def scaling_answers(experiment: Experiment, measured: Mapping[str, Any]) -> list[str]:
    """For each scaling chart of throughput and each shop: what N replicas do of N times one, and the law fitted."""
    return [
        sentence
        for chart in experiment.charts
        if chart.kind == "scaling" and chart.metric == "throughput_rps"
        for system, name in NAMES.items()
        for sentence in _of_shop(name, _capacities(chart, system, measured["trials"]), experiment.seed)
    ]


def _of_shop(name: str, capacities: Mapping[int, Sequence[float]], seed: int) -> Iterable[str]:
    most = max(capacities, default=1)
    if most == 1 or 1 not in capacities:
        return
    reached = efficiency(capacities, most, seed)
    yield f"{name} {TIMES} {most} does {reached.value:.0%} of {most} times what one does {_interval(reached)}."
    if len(capacities) >= ENOUGH_SIZES:
        found = fit(capacities, seed)
        peak = found.law.peak
        yield f"{name} by the Universal Scalability Law: {found}." + (
            f" By this law more than {peak:.0f} replicas would do less; nothing beyond {most} was measured."
            if peak and found.beta.low
            else ""
        )


def _capacities(chart: Chart, system: str, trials: Iterable[Mapping[str, Any]]) -> dict[int, list[float]]:
    """Replicas → requests per second, over the repeats that are valid at every number of replicas."""
    found: dict[int, dict[int, float]] = {}
    for trial in trials:
        rate = trial["metrics"].get(chart.endpoint, {}).get("achieved_rps")
        if trial["valid"] and trial["system"] == system and trial["phase"] in chart.phases and rate:
            replicas = max(trial["replicas"].values(), default=1)
            found.setdefault(replicas, {}).setdefault(trial["repeat"], rate)
    shared = set.intersection(*(set(repeats) for repeats in found.values())) if found else set()
    if not shared:
        return {}
    return {count: [found[count][repeat] for repeat in sorted(shared)] for count in sorted(found)}


def _interval(of: Interval) -> str:
    if of.low is None or of.high is None:
        return "(one repeat: interval unknown)"
    return f"(95 % interval {of.low:.0%} {DASH} {of.high:.0%})"
