"""Repeats of an experiment until its primary claims are known precisely enough, or the time is up.

What is easy to get wrong: a run that stops when it likes the answer has a biased answer. This one looks only at the
width of the intervals, never at their place. And it never makes fewer repeats than the experiment's file says
(docs/decisions/0031).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.analysis.precision import Precision, precision, repeats_needed
from loadtests.experiments.experiment import Experiment
from loadtests.planning.plan import plan
from loadtests.planning.remaining import Span, duration, fresh_searches, span_of
from loadtests.planning.trials import Trial


@dataclass(frozen=True)
class Goal:
    """The half width that is wanted, and the most seconds of the whole run, resumed parts included."""

    width: float
    seconds: float

    def __str__(self) -> str:
        return f"±{self.width:.3g}" if self.width >= 1 else f"±{self.width * 100:g}%"


@dataclass(frozen=True)
class Outlook:
    """How precise an experiment is after so many repeats, and how many the goal takes; None: not known."""

    now: Precision
    repeats: int
    needed: int | None

    def reached(self, goal: Goal) -> bool:
        """Whether every primary claim is known precisely enough."""
        return self.now.half_width <= goal.width


def outlook(measured: Mapping[str, Any], repeats: int, goal: Goal) -> Outlook:
    """From the experiment's entry in results.json."""
    now = precision(measured)
    return Outlook(now, repeats, repeats_needed(now.half_width, repeats, goal.width))


def trials_of_repeat(experiment: Experiment, repeat: int) -> list[Trial]:
    """The trials of one more repeat, in the order of a run that was planned with it."""
    longer = experiment.model_copy(update={"repeats": repeat})
    return [trial for trial in plan([longer], share=False) if trial.repeat == repeat]


def span_of_repeats(experiment: Experiment, repeats: int) -> Span:
    """About how long so many repeats take."""
    trials = plan([experiment.model_copy(update={"repeats": repeats})], share=False)
    return span_of(trials, fresh_searches(trials, [experiment]))


def in_words(found: Outlook, goal: Goal) -> str:
    """The outlook as the text of a step."""
    so_far = f"{found.now} after {found.repeats} repeats"
    if found.reached(goal):
        return f"{so_far}: {goal} is reached"
    if found.needed is None:
        return f"{so_far}; how many more {goal} takes is not known"
    more = max(1, found.needed - found.repeats)
    return f"{so_far}; {goal} takes about {more} more"


def forecast(runs: Path, experiment: Experiment, form: str, machine: Mapping[str, Any], goal: Goal) -> str:
    """How long the goal will take, as a sentence, from the newest earlier run on this machine."""
    limit = f"After {duration(goal.seconds)} the run ends in any case."
    for folder, notes, measured in _earlier(runs, experiment.name, form):
        repeats = notes["repeats"][experiment.name]
        same = all(notes["machine"][key] == machine[key] for key in ("cpu_model", "cores"))
        found = outlook(measured, repeats, goal)
        if not same or found.needed is None:
            continue
        count = max(found.needed, experiment.repeats)
        return (
            f"In the run {folder.name}, {found.now} after {repeats} repeats. By that, {goal} takes about {count} "
            f"repeats, {span_of_repeats(experiment, count)}. {limit}"
        )
    return (
        f"No earlier run here says how much the repeats of {experiment.name} differ. After its own "
        f"{experiment.repeats} repeats ({span_of_repeats(experiment, experiment.repeats)}) the run says how many more "
        f"{goal} takes. {limit}"
    )


def _earlier(runs: Path, name: str, form: str) -> Iterator[tuple[Path, Mapping[str, Any], Mapping[str, Any]]]:
    """Folder, run.json and the experiment's entry of results.json of earlier runs in that form, the newest first."""
    for file in sorted(runs.glob("*/results.json"), reverse=True):
        try:
            notes = json.loads((file.parent / "run.json").read_text(encoding="utf-8"))
            results = json.loads(file.read_text(encoding="utf-8"))
            entries = {each["name"]: each for each in results["experiments"]}
            if notes["form"] == form and entries[name]["verdicts"] and notes["repeats"][name]:
                precision(entries[name])
                yield file.parent, notes, entries[name]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # of an older version, or not a run
