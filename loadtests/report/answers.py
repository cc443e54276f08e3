"""What an experiment's charts show, in sentences: efficiency, the scalability law, crossings of lines. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from loadtests.analysis.scaling import MIN_SIZES, SuperlinearError, efficiency, fit
from loadtests.analysis.stats import Interval
from loadtests.experiments.claims import Chart
from loadtests.experiments.experiment import Experiment
from loadtests.report.estimates import DASH, TIMES, Estimate, confident, shown_in

GOOD = 0.9
"""An efficiency below this is explained. A slice that is used to this share counts as used up."""
TOO_GOOD = 1.05
"""An efficiency above this is a doubt about the measurement of one replica."""
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
    lines: dict[str, dict[float, Estimate]] = {}
    for each in shown_in(chart, estimates):
        if level := levels.get(each["phase"]):
            lines.setdefault(each["id"], {})[level] = each
    monoliths = [each for each in experiment.systems if each.system == "monolith" and each.id in lines]
    others = [each for each in experiment.systems if each.system != "monolith" and each.id in lines]
    for one in monoliths:
        for other in others:
            yield _crossing(chart.title, (one.label, lines[one.id]), (other.label, lines[other.id]))


def _crossing(
    title: str, one: tuple[str, Mapping[float, Estimate]], other: tuple[str, Mapping[float, Estimate]]
) -> str:
    """The level at which the lower line becomes the higher one, interpolated in logarithms of level and value.

    Where the lower value is only a lower bound, it is not known which line is lower: such a level is left out. Where
    the higher one is, the place of a crossing beside it is not known, only the levels around it.
    """
    found = {level: _lead(one[1][level], other[1][level]) for level in sorted(set(one[1]) & set(other[1]))}
    shared = [level for level, each in found.items() if each is not None]
    lead = [each for each in found.values() if each is not None]
    if not shared:
        return f"{title}: it is not known whether {one[0]} or {other[0]} is lower."
    for (low, high), (before, after) in zip(pairwise(shared), pairwise(lead), strict=True):
        if before * after < 0:
            share = before / (before - after)
            at = math.exp(math.log(low) + share * math.log(high / low))
            bounds = any(line[1][level]["bound"] for line in (one, other) for level in (low, high))
            first, then = (one[0], other[0]) if before < 0 else (other[0], one[0])
            return f"{title}: {first} is lower up to {_place(at, low, high, bounds)}, {then} is lower beyond that."
    lower = one[0] if sum(lead) < 0 else other[0]
    return f"{title}: the lines of {one[0]} and {other[0]} do not cross; {lower} is lower."


def _place(at: float, low: float, high: float, bounds: bool) -> str:
    if bounds:
        return f"somewhere between {low:g} and {high:g} {TIMES}"
    return f"about {at:.0f} {TIMES} (measured at {low:g} and {high:g})"


def _lead(one: Estimate, other: Estimate) -> float | None:
    """The logarithm of the ratio; None if it is not known which one is lower, because that one is a bound."""
    first, second = confident(one), confident(other)
    if not first or not second:
        return None
    lead = math.log(first / second)
    lower, higher = (one, other) if lead < 0 else (other, one)
    unclear = lower["bound"] in {"at least", "unknown"} or higher["bound"] in {"at most", "unknown"}
    return None if unclear else lead


def _trials(chart: Chart, system: str, measured: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The valid trials of one shop that the chart shows, without those in which one path has a rule of its own."""
    return [
        trial
        for trial in measured["trials"]
        if trial["valid"]
        and trial["system"] == system
        and trial["phase"] in chart.phases
        and not trial.get("route")
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
        yield f"{name} by the Universal Scalability Law: {_law(capacities, most, seed)}"


def superlinear_doubts(experiment: Experiment, measured: Mapping[str, Any]) -> list[str]:
    """A doubt for each shop whose replicas seem to do more than N times the work of one."""
    return [
        doubt
        for chart in experiment.charts
        if chart.kind == "scaling" and chart.metric == "throughput_rps"
        for system, name in NAMES.items()
        for doubt in _too_good(name, _capacities(chart, _trials(chart, system, measured)))
    ]


def _too_good(name: str, capacities: Mapping[int, Sequence[float]]) -> Iterable[str]:
    sizes = [size for size in capacities if size > 1 and 1 in capacities]
    reached = {size: efficiency(capacities, size).value for size in sizes}
    most = max(sizes, key=lambda size: reached[size], default=1)
    if reached.get(most, 0.0) > TOO_GOOD:
        yield (
            f"{name} with {most} replicas reaches {reached[most]:.0%} of {most} times the throughput of one replica. "
            "More than 100% means that the one replica is slow, which makes it easier to keep a promise about "
            "replicas."
        )


def _law(capacities: Mapping[int, Sequence[float]], most: int, seed: int) -> str:
    """The fitted law as the end of a sentence, or why there is none."""
    try:
        found = fit(capacities, seed)
    except SuperlinearError as error:
        return f"not fitted. {error}, and the law knows only losses."
    peak = found.law.peak
    if peak is None or not found.beta.low:
        return f"{found}."
    return f"{found}. By this law, throughput falls beyond {peak:.0f} replicas; nothing beyond {most} was measured."


def _bottleneck(most: int, trials: Sequence[Mapping[str, Any]]) -> str:
    """Why N replicas did less than N times the work: how full their slices were, and which other process was busy."""
    scaled = max(trials[0]["replicas"], key=trials[0]["replicas"].get) + "-"
    shares, others = list[float](), dict[str, list[float]]()
    for process in (process for trial in trials for process in trial["processes"]):
        if process["name"].startswith(scaled):
            shares += [process["cpu_cores"] / process["slice"]] if process["slice"] else []
        else:
            others.setdefault(process["name"], []).append(process["cpu_cores"])
    cores = {name: sum(each) / len(each) for name, each in others.items()}
    busiest = max(cores, key=lambda name: cores[name])
    if not shares:  # pods have no slice
        return (
            f"The busiest process beside the {most} replicas was {busiest} with {cores[busiest]:.2f} cores."
        )
    used = sum(shares) / len(shares)
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
