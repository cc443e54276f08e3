"""The table of how well each system followed demand, for experiments in which replicas do."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

from loadtests.experiments.experiment import Experiment
from loadtests.planning.plan import system_of
from loadtests.report.estimates import DASH

HEADS = (
    ("system", ""),
    ("phase", ""),
    ("replicas missing", "number"),
    ("replicas idle", "number"),
    ("time with some missing", "number"),
    ("time with some idle", "number"),
    ("instability", "number"),
)
PERCENT = {"missing_share", "idle_share", "instability"}
METRICS = ("missing", "idle", "missing_share", "idle_share", "instability")


def rows(experiment: Experiment, trials: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """A row for each system and phase: the mean over valid repeats, and the lowest and highest repeat."""
    found: dict[tuple[str, str], list[Mapping[str, float]]] = {}
    for trial in trials:
        system = system_of(experiment, trial)
        if system and trial["valid"] and trial.get("elasticity"):
            found.setdefault((system.label, trial["phase"]), []).append(trial["elasticity"])
    return [(*key, *(_cell(name, repeats) for name in METRICS)) for key, repeats in found.items()]


def _cell(name: str, repeats: Sequence[Mapping[str, float]]) -> str:
    values = [each[name] for each in repeats]
    ends = f" ({_text(name, min(values))} {DASH} {_text(name, max(values))})" if len(values) > 1 else ""
    return _text(name, mean(values)) + ends


def _text(name: str, value: float) -> str:
    return f"{value * 100:.0f} %" if name in PERCENT else f"{value:.2f}"
