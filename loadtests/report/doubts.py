"""Reasons to doubt an experiment's numbers, printed before the numbers. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from loadtests.analysis.routes import SHARES, bounded
from loadtests.experiments.experiment import Experiment
from loadtests.rig.yardstick import MAX_UNEVEN

ENOUGH_REPEATS = 5


def doubts(experiment: Experiment, measured: Mapping[str, Any], notes: Mapping[str, Any]) -> list[str]:
    """Of this run first, then those that the experiment's own text admits."""
    return [*_of_run(experiment, measured, notes), *experiment.doubts]


def _of_run(experiment: Experiment, measured: Mapping[str, Any], notes: Mapping[str, Any]) -> Iterable[str]:
    backend = notes["machine"]["slice_backend"]
    if backend == "none":
        yield "CPU slices could not be set up on this machine: replicas competed for all of it."
    if backend == "governor":
        yield "CPU slices were kept by pausing processes, which adds stalls of some milliseconds to latency."
    for kind, where in notes.get("shops", {}).items():
        yield f"The {kind} shop is not this project's own but the one at {where}." + (
            " Its processes were neither started afresh nor put on slices nor watched, and each trial found what the "
            "one before had left in its database."
            if "://" in where
            else ""
        )
    if notes["stopped_early"]:
        yield "The run was stopped before its end: some repeats are missing."
    if resumed := notes.get("resumed", 0):
        yield f"The run was interrupted and resumed {_often(resumed)}: its trials did not share one stretch of time."
    if waited := notes.get("waited_seconds", 0.0):
        yield f"The machine was not always calm: {waited:.0f} s were spent on waiting for it before trials."
    if notes["form"] == "demo":
        yield (
            f"This is the short form: {_times(experiment.repeats)} of a few seconds. "
            f"`loadtests run {experiment.name}` takes longer and narrows the intervals."
        )
    elif experiment.repeats < ENOUGH_REPEATS:
        yield f"Only {_times(experiment.repeats)}: the intervals are wide."
    yield from _of_trials(measured)


def _times(repeats: int) -> str:
    return "1 repeat" if repeats == 1 else f"{repeats} repeats"


def _often(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _of_trials(measured: Mapping[str, Any]) -> Iterable[str]:
    void = [trial for trial in measured["trials"] if not trial["valid"]]
    if void:
        # One example of each kind: the same sentence with other numbers tells nothing new.
        kinds = {re.sub(r"[\d.]+", "", reason): reason for trial in void for reason in trial["doubts"]}
        shown = "; ".join(kinds.values())
        yield f"{len(void)} of {len(measured['trials'])} measurements were void and are left out: {shown}."
    yield from _uneven(measured)
    yield from _in_vain(measured)


def _uneven(measured: Mapping[str, Any]) -> Iterable[str]:
    """Trials on the same slices of a core that was not the same."""
    speeds = [
        trial["core_speed"] for trial in measured["trials"] if trial["valid"] and trial.get("core_speed")
    ]
    if speeds and (times := max(speeds) / min(speeds)) > MAX_UNEVEN:
        yield (
            f"A core was {times:.1f} times as fast before some trials as before others (heat, power saving, or "
            "neighbours on the same processor): repeats differ by that too."
        )


def _in_vain(measured: Mapping[str, Any]) -> Iterable[str]:
    """What failed or could not be started, and how far that reaches into the percentiles."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for trial in measured["trials"]:
        for route, metric in trial["metrics"].items():
            vain, asked = metric["errors"] + metric["not_started"], metric["count"] + metric["not_started"]
            if route != "all" and trial["valid"] and vain > max(2, 0.02 * asked):
                found.setdefault((trial["system"], trial["phase"], route), set()).update(bounded(metric))
    for (system, phase, route), names in sorted(found.items()):
        bounds = [name.removesuffix("_ms") for name in SHARES if name in names]
        reach = f", and its {' and '.join(bounds)} can be any longer" if bounds else ""
        yield (
            f"{system}, {phase}: {route} also failed, ran out of time or could not be started; "
            f"each such request counts as a wait of the whole timeout{reach}."
        )
