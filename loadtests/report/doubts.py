"""Reasons to doubt an experiment's numbers; the report shows them before the numbers. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loadtests.analysis.records import VISIT
from loadtests.analysis.routes import SHARES, bounded
from loadtests.experiments.experiment import Experiment
from loadtests.report.answers import superlinear_doubts
from loadtests.report.estimates import label_of
from loadtests.rig.core_speed import MAX_SPEED_RATIO

ENOUGH_REPEATS = 5
MAX_THROTTLED = 0.02
"""Seconds per second."""


def doubts(experiment: Experiment, measured: Mapping[str, Any], notes: Mapping[str, Any]) -> list[str]:
    """The doubts about this run first, then those in the experiment's own file."""
    about_replicas = superlinear_doubts(experiment, measured)
    return [*_about_run(experiment, measured, notes), *about_replicas, *experiment.doubts]


def _about_run(
    experiment: Experiment, measured: Mapping[str, Any], notes: Mapping[str, Any]
) -> Iterable[str]:
    yield from _about_setup(notes)
    yield from _about_clusters(experiment, notes.get("clusters", {}))
    yield from _about_time(notes)
    if notes["form"] == "demo":
        yield (
            f"This is the short form: {_repeats(experiment.repeats)} of a few seconds. "
            f"`loadtests run {experiment.name}` takes longer and narrows the intervals."
        )
    elif experiment.repeats < ENOUGH_REPEATS:
        yield f"Only {_repeats(experiment.repeats)}: the intervals are wide."
    labelled = [{**trial, "system": label_of(experiment, trial)} for trial in measured["trials"]]
    yield from _about_trials({**measured, "trials": labelled})


def _about_setup(notes: Mapping[str, Any]) -> Iterable[str]:
    backend = notes["machine"]["slice_backend"]
    if backend == "none":
        yield "CPU slices could not be set up on this machine: replicas competed for the whole machine."
    if backend == "governor":
        yield "CPU slices were kept by pausing processes, which adds stalls of some milliseconds to latency."
    for kind, where in notes.get("shops", {}).items():
        yield f"The {kind} shop is not this project's own but the one at {where}." + (
            " Its processes were not started afresh, sliced or observed, and each trial found the data that earlier "
            "trials had left in its database."
            if "://" in where
            else ""
        )


def _about_clusters(experiment: Experiment, clusters: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    """What the lab cannot do or know where a shop runs in a Kubernetes cluster."""
    for kind, each in clusters.items():
        nodes = "1 node" if each["nodes"] == 1 else f"{each['nodes']} nodes"
        yield (
            f"The {kind} shop ran in a cluster (Kubernetes {each['version'].removeprefix('v')}, {nodes} with "
            f"{', '.join(map(str, each['node_cpu']))} cores; limits of CPU: {_limits(each['limits'])}). Its pods were "
            "not started afresh or sliced, each trial found the data of earlier trials, and nobody looked for other "
            "work on the nodes."
        )
    if not clusters:
        return
    yield (
        "CPU and memory of pods are what the kubelets read: the times are whole seconds, the memory is anonymous "
        "memory, and the database server counts as a part of the shop."
    )
    if len(clusters) == 1:
        yield f"Only the {next(iter(clusters))} shop ran in a cluster, so the ratios compare two environments too."
    if experiment.turns:
        yield "The shops took no turns: a namespace has one shop, so the systems ran one after another."


def _limits(limits: Mapping[str, str | None]) -> str:
    """The CPU limits of the Deployments, those with the same limit together."""
    by_limit: dict[str, list[str]] = {}
    for name, limit in limits.items():
        by_limit.setdefault(limit or "none", []).append(name)
    if len(by_limit) == 1:
        return next(iter(by_limit))
    return "; ".join(f"{limit} for {', '.join(names)}" for limit, names in by_limit.items())


def _about_time(notes: Mapping[str, Any]) -> Iterable[str]:
    if notes["stopped_early"]:
        yield "The run was stopped before its end: some repeats are missing."
    if resumed := notes.get("resumed", 0):
        times = "once" if resumed == 1 else f"{resumed} times"
        yield f"The run was interrupted and resumed {times}: its trials were not run in one period of time."
    if ended := notes.get("until_ended"):
        yield f"The run repeated itself until its intervals were narrow enough or its time was up: {ended}."
    if waited := notes.get("waited_seconds", 0.0):
        yield f"The machine was not always calm: the lab waited {waited:.0f} s before trials."


def _repeats(repeats: int) -> str:
    return "1 repeat" if repeats == 1 else f"{repeats} repeats"


def _about_trials(measured: Mapping[str, Any]) -> Iterable[str]:
    for system in dict.fromkeys(trial["system"] for trial in measured["trials"]):
        yield from _void(system, [trial for trial in measured["trials"] if trial["system"] == system])
    yield from _remarks(measured)
    yield from _throttling(measured)
    yield from _core_speeds(measured)
    yield from _failures(measured)


def _void(system: str, trials: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """How many measurements of one shop were void, by reason, so that a reader sees whether one shop lost more."""
    reasons = [reason for trial in trials for reason in trial["doubts"]]
    if reasons:
        void = sum(not trial["valid"] for trial in trials)
        yield f"{system}: {void} of {len(trials)} measurements were void and are left out: {_by_kind(reasons)}."


def _remarks(measured: Mapping[str, Any]) -> Iterable[str]:
    """What a shop did itself. It counts, so nothing is selected by its result."""
    found: dict[tuple[str, str], list[str]] = {}
    for trial in measured["trials"]:
        if trial["valid"]:
            found.setdefault((trial["system"], trial["phase"]), []).extend(trial["remarks"])
    for (system, phase), remarks in found.items():
        if remarks:
            yield f"{system}, {phase}: {_by_kind(remarks)}. This counts, because the shop did it."


def _by_kind(sentences: Sequence[str]) -> str:
    """One example of each kind with its number: the same sentence with other numbers adds nothing."""
    kinds: dict[str, list[str]] = {}
    for sentence in sentences:
        kinds.setdefault(re.sub(r"[\d.]+", "", sentence), []).append(sentence)
    return "; ".join(
        each[0] if len(each) == 1 else f"{each[0]} ({len(each)} times like this)" for each in kinds.values()
    )


def _throttling(measured: Mapping[str, Any]) -> Iterable[str]:
    """Phases in which a slice stopped some replica for a part of the time that a latency shows."""
    held: dict[tuple[str, str], list[float]] = {}
    for trial in measured["trials"]:
        if trial["valid"]:
            stopped = [each.get("throttled_seconds", 0.0) for each in trial["processes"]]
            held.setdefault((trial["system"], trial["phase"]), []).append(max(stopped, default=0.0))
    for (system, phase), shares in held.items():
        mean = sum(shares) / len(shares)
        if mean > MAX_THROTTLED:
            yield (
                f"{system}, {phase}: its slice stopped the most limited replica for {mean:.2f} s in each second, which "
                "is part of its latency."
            )


def _core_speeds(measured: Mapping[str, Any]) -> Iterable[str]:
    """Trials had equal slices of a core whose speed changed."""
    speeds = [
        trial["core_speed"] for trial in measured["trials"] if trial["valid"] and trial.get("core_speed")
    ]
    if speeds and (times := max(speeds) / min(speeds)) > MAX_SPEED_RATIO:
        yield (
            f"A core was {times:.1f} times as fast before some trials as before others (heat, power saving, or other "
            "guests on the same processor), so repeats differ by that too."
        )


def _failures(measured: Mapping[str, Any]) -> Iterable[str]:
    """Routes with more than 2 % and more than 2 requests that were not answered well, and the percentiles it moves."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for trial in measured["trials"]:
        for route, metric in trial["metrics"].items():
            failed, asked = metric["errors"] + metric["not_started"], metric["count"] + metric["not_started"]
            is_request = route != "all" and not route.startswith(VISIT)
            if is_request and trial["valid"] and failed > max(2, 0.02 * asked):
                found.setdefault((trial["system"], trial["phase"], route), set()).update(bounded(metric))
    for (system, phase, route), names in sorted(found.items()):
        bounds = [name.removesuffix("_ms") for name in SHARES if name in names]
        several = len(bounds) > 1
        reach = f", so its {' and '.join(bounds)} {'are lower bounds' if several else 'is a lower bound'}"
        yield (
            f"{system}, {phase}: some requests to {route} failed, timed out or could not be started; "
            f"each of them counts as a wait of the whole timeout{reach if bounds else ''}."
        )
