"""The folder of a run: run.json with its notes, the experiments' texts, a folder for each trial.

It is complete after every trial, so an interrupted run keeps what it has.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.analysis.phase_result import PhaseResult
from loadtests.analysis.raw import read_trials
from loadtests.analysis.results import SCHEMA, results_of
from loadtests.analysis.timelines import measure_with_timelines
from loadtests.experiments.experiment import Experiment, parse
from loadtests.running.options import Options

Notes = dict[str, Any]
"""The content of run.json."""


class RunError(Exception):
    """The run cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class FinishedRun:
    """Everything that a report is made of, read from the run's folder."""

    folder: Path
    notes: Notes
    experiments: tuple[Experiment, ...]
    results: dict[str, Any]
    measured: tuple[PhaseResult, ...]


def new_notes(folder: Path, experiments: Sequence[Experiment], trials: int, options: Options) -> Notes:
    """The notes of a run that begins now, with so many planned trials."""
    return {
        "id": folder.name,
        "schema": SCHEMA,
        "form": options.form,
        "command": options.command,
        "started": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "planned_trials": trials,
        "experiments": [each.name for each in experiments],
        "repeats": {each.name: each.repeats for each in experiments},
        "rules": {"share": options.share, "attempts": options.attempts},
        "until": {"width": options.until.width, "seconds": options.until.seconds} if options.until else None,
        "shops": {kind: where for kind, where in options.shops.items() if where},
        "processes": options.processes,
        "gate": None,
        "stopped_early": False,
        "seconds": 0.0,
    }


def write_texts(experiments: Sequence[Experiment], folder: Path) -> None:
    """Copy each experiment's text, and the files that it reads, into the run's folder."""
    texts = folder / "experiments"
    texts.mkdir(parents=True)
    for each in experiments:
        for name, text in each.texts.items():
            (texts / name).write_text(text, encoding="utf-8")


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write `content` to the file; its folder is made if it does not exist."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_texts(folder: Path) -> tuple[Notes, tuple[Experiment, ...]]:
    """A run's notes, and its experiments as they were run; RunError when the folder holds no run."""
    try:
        notes = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        texts = [folder / "experiments" / f"{name}.toml" for name in notes["experiments"]]
        full = [parse(text.read_text(encoding="utf-8"), text.name, text.parent) for text in texts]
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{folder} holds no run (run.json and its experiments are needed): {error}") from error
    forms = (each.short() if notes["form"] == "demo" else each for each in full)
    return notes, tuple(each.model_copy(update={"repeats": notes["repeats"][each.name]}) for each in forms)


def read_run(folder: Path) -> FinishedRun:
    """Analyse a run's raw files; RunError when the folder holds no run."""
    notes, experiments = read_texts(folder)
    measured, timelines = measure_with_timelines(read_trials(folder), experiments)
    results = results_of(notes["machine"], experiments, measured, timelines)
    return FinishedRun(folder, notes, experiments, results, tuple(measured))
