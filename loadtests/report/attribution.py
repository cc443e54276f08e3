"""Where the CPU of a claim's measurements went: busiest process, gateway, slices that held back. Pure.

The CPU of a gateway is that of its shop alone, because each shop has its own; so its share is of what the shop used.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loadtests.analysis.records import GATEWAY, GENERATOR
from loadtests.experiments.claims import Claim
from loadtests.experiments.experiment import Experiment
from loadtests.planning.plan import system_of

WORTH_TELLING_SECONDS = 0.005
"""In each second: less than this moves no percentile that is shown."""

Process = Mapping[str, float]


def attribution(experiment: Experiment, measured: Mapping[str, Any], claim: Claim) -> list[str]:
    """A sentence for each measurement that the claim is made of; none where no process was observed."""
    found = []
    for name in dict.fromkeys((*claim.of, *claim.over)):
        system, _, phase = name.partition("/")
        label = next(each.label for each in experiment.systems if each.id == system)
        if means := _means(_trials(experiment, measured, system, phase)):
            found.append(f"{label}, {phase}: {'; '.join(_parts(means))}.")
    return found


def _trials(
    experiment: Experiment, measured: Mapping[str, Any], system: str, phase: str
) -> list[Mapping[str, Any]]:
    return [
        trial
        for trial in measured.get("trials", ())
        if trial["valid"]
        and trial["phase"] == phase
        and (found := system_of(experiment, trial)) is not None
        and found.id == system
    ]


def _means(trials: Sequence[Mapping[str, Any]]) -> dict[str, Process]:
    """By process of the shop, the mean of each of its numbers over the trials that have it."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for process in (process for trial in trials for process in trial["processes"]):
        if process["name"] != GENERATOR:
            rows.setdefault(process["name"], []).append(process)
    return {
        name: {
            key: sum(values) / len(values)
            for key in ("slice", "cpu_cores", "throttled_periods", "throttled_seconds", "pressure_seconds")
            if (values := [each[key] for each in of if each.get(key) is not None])
        }
        for name, of in rows.items()
    }


def _parts(means: Mapping[str, Process]) -> Iterable[str]:
    busiest = max(
        (name for name in means if name != GATEWAY), key=lambda name: means[name]["cpu_cores"], default=None
    )
    if busiest:
        cores, limit = means[busiest]["cpu_cores"], means[busiest].get("slice")
        yield f"the busiest process was {busiest} with {cores:.2f}{f' of its {limit:g}' if limit else ''} cores"
    total = sum(each["cpu_cores"] for each in means.values())
    if GATEWAY in means and total:
        yield f"the gateway used {means[GATEWAY]['cpu_cores'] / total:.0%} of the shop's CPU"
    if held := _most(means, "throttled_seconds"):
        seconds, periods = means[held]["throttled_seconds"], means[held].get("throttled_periods", 0.0)
        yield f"its slice stopped {held} for {seconds:.2f} s in each second, in {periods:.0f} periods"
    if waiting := _most(means, "pressure_seconds"):
        yield f"{waiting} waited for CPU for {means[waiting]['pressure_seconds']:.2f} s in each second"


def _most(means: Mapping[str, Process], key: str) -> str | None:
    """The process with the most of `key`; None where nobody has enough of it to tell."""
    known = {name: each[key] for name, each in means.items() if each.get(key, 0.0) >= WORTH_TELLING_SECONDS}
    return max(known, key=lambda name: known[name], default=None)
