"""What an experiment's charts show, in sentences: efficiency, the scalability law, crossings of lines. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from loadtests.analysis.scaling import MIN_SIZES, efficiency, fit
from loadtests.analysis.stats import Interval
from loadtests.experiments.claims import Chart
from loadtests.experiments.experiment import Experiment
from loadtests.report.estimates import DASH, TIMES, shown_in

GOOD = 0.9
"""An efficiency below this is explained. A slice that is used to this share counts as used up."""
NAMES = {"monolith": "The monolith", "microservices": "The split"}


def scaling_answers(experiment: Experiment, measured: Mapping[str, Any]) -> list[str]:
    """For each scaling chart of throughput and each shop: its efficiency at N replicas, and the fitted law.

    `measured` is the experiment's entry in results.json.
    """
    return [
        sentence
        for chart in experiment.charts
        if chart.kind == "scaling" and chart.metric == "throughput_rps"
        for system, name in NAMES.items()
        for sentence in _of_shop(name, chart, _trials(chart, system, measured), experiment.seed)
    ]


def level_answers(experiment: Experiment, measured: Mapping[str, Any]) -> list[str]:
    """For each chart of a latency over levels: where the monolith's line crosses those of the other systems."""
    return [
        sentence
        for chart in experiment.charts
        if chart.kind == "levels" and chart.metric.endswith("_ms")
        for sentence in _crossings(experiment, chart, measured["estimates"])
    ]


def _crossings(experiment: Experiment, chart: Chart, estimates: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    levels = {
        phase.name: phase.level for phase in experiment.phases if phase.level and phase.name in chart.phases
    }
    lines: dict[str, dict[float, float]] = {}
    for each in shown_in(chart, estimates):
        if level := levels.get(each["phase"]):
            lines.setdefault(each["id"], {})[level] = each["value"]
    monoliths = [each for each in experiment.systems if each.system == "monolith" and each.id in lines]
    others = [each for each in experiment.systems if each.system != "monolith" and each.id in lines]
    for one in monoliths:
        for other in others:
            yield _crossing(chart.title, (one.label, lines[one.id]), (other.label, lines[other.id]))


def _crossing(
    title: str, one: tuple[str, Mapping[float, float]], other: tuple[str, Mapping[float, float]]
) -> str:
    """The level at which the lower line becomes the higher one, interpolated in logarithms of level and value."""
    shared = sorted(set(one[1]) & set(other[1]))
    lead = [math.log(one[1][level] / other[1][level]) for level in shared]
    for (low, high), (before, after) in zip(pairwise(shared), pairwise(lead), strict=True):
        if before * after < 0:
            share = before / (before - after)
            at = math.exp(math.log(low) + share * math.log(high / low))
            first, then = (one[0], other[0]) if before < 0 else (other[0], one[0])
            return (
                f"{title}: {first} is lower up to about {at:.0f} {TIMES} (measured at {low:g} and {high:g}), "
                f"{then} is lower beyond that."
            )
    lower = one[0] if sum(lead) < 0 else other[0]
    return f"{title}: the lines of {one[0]} and {other[0]} do not cross; {lower} is lower."


def _trials(chart: Chart, system: str, measured: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The valid trials of one shop that the chart shows."""
    return [
        trial
        for trial in measured["trials"]
        if trial["valid"] and trial["system"] == system and trial["phase"] in chart.phases
    ]


def _of_shop(name: str, chart: Chart, trials: Sequence[Mapping[str, Any]], seed: int) -> Iterable[str]:
    capacities = _capacities(chart, trials)
    most = max(capacities, default=1)
    if most == 1 or 1 not in capacities:
        return
    reached = efficiency(capacities, most)
    yield (
        f"{name} with {most} replicas reaches {reached.value:.0%} of {most} times the throughput of one replica "
        f"{_interval(reached)}."
    )
    if reached.value < GOOD:
        yield _bottleneck(most, [trial for trial in trials if _replicas(trial) == most])
    if len(capacities) >= MIN_SIZES:
        found = fit(capacities, seed)
        peak = found.law.peak
        yield f"{name} by the Universal Scalability Law: {found}." + (
            f" By this law, throughput falls beyond {peak:.0f} replicas; nothing beyond {most} was measured."
            if peak and found.beta.low
            else ""
        )


def _bottleneck(most: int, trials: Sequence[Mapping[str, Any]]) -> str:
    """Why N replicas did less than N times the work: how full their slices were, and which other process was busy."""
    scaled = max(trials[0]["replicas"], key=trials[0]["replicas"].get) + "-"
    shares, others = list[float](), dict[str, list[float]]()
    for process in (process for trial in trials for process in trial["processes"]):
        if process["name"].startswith(scaled):
            shares.append(process["cpu_cores"] / process["slice"])
        else:
            others.setdefault(process["name"], []).append(process["cpu_cores"])
    used = sum(shares) / len(shares)
    cores = {name: sum(each) / len(each) for name, each in others.items()}
    busiest = max(cores, key=lambda name: cores[name])
    why = "each answer cost more CPU than with one replica" if used >= GOOD else "something else limited them"
    return (
        f"The {most} replicas used {used:.0%} of their slices, so {why}; the busiest other process was {busiest} "
        f"with {cores[busiest]:.2f} cores."
    )


def _replicas(trial: Mapping[str, Any]) -> int:
    return max(trial["replicas"].values(), default=1)


def _capacities(chart: Chart, trials: Iterable[Mapping[str, Any]]) -> dict[int, list[float]]:
    """Replicas → requests per second, in the repeats that are valid at every number of replicas."""
    found: dict[int, dict[int, float]] = {}
    for trial in trials:
        if rate := trial["metrics"].get(chart.endpoint, {}).get("achieved_rps"):
            found.setdefault(_replicas(trial), {}).setdefault(trial["repeat"], rate)
    shared = set.intersection(*(set(repeats) for repeats in found.values())) if found else set()
    if not shared:
        return {}
    return {count: [found[count][repeat] for repeat in sorted(shared)] for count in sorted(found)}


def _interval(of: Interval) -> str:
    if of.low is None or of.high is None:
        return "(one repeat: interval unknown)"
    return f"(95 % interval {of.low:.0%} {DASH} {of.high:.0%})"
