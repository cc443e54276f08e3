"""Reasons to doubt an experiment's numbers, printed before the numbers. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from loadtests.experiment import Experiment

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
    if notes["stopped_early"]:
        yield "The run was stopped before its end: some repeats are missing."
    if resumed := notes.get("resumed", 0):
        yield f"The run was interrupted and resumed {_often(resumed)}: its trials did not share one stretch of time."
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
    refused = {
        (trial["system"], trial["phase"], route)
        for trial in measured["trials"]
        for route, metric in trial["metrics"].items()
        if route != "all" and trial["valid"] and metric["errors"] > max(2, 0.02 * metric["count"])
    }
    for system, phase, route in sorted(refused):
        yield f"{system}, {phase}: {route} also failed or ran out of time; its latency includes those requests."
