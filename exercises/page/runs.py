"""The runs of the lab in the folders where the learner works: what was asked, when, and the report."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from exercises.errors import ExerciseError

FOLDER = "runs"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MAX_RUNS = 50
MAX_REPORT_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the lab."""

    name: str
    experiments: tuple[str, ...]
    started: str
    """UTC, as in run.json; empty when that cannot be read."""
    minutes: float
    has_report: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `loadtests compare` said about two runs, in Markdown."""

    before: str
    after: str
    text: str


def runs(root: Path) -> list[Run]:
    """The newest runs first. The lab writes them to `runs/` where it is started: in the workspace or beside it."""
    found = {folder.name: folder for place in _places(root) if place.is_dir() for folder in place.iterdir()}
    folders = [folder for folder in found.values() if (folder / "run.json").is_file()]
    return sorted(map(_run, folders), key=lambda run: (run.started, run.name), reverse=True)[:MAX_RUNS]


def report(root: Path, name: str) -> bytes:
    """The report of a run, a page that loads nothing; ExerciseError when there is none."""
    return _report(root, name).read_bytes()


def with_report(root: Path, name: str) -> Run:
    """A run whose report can be shown; ExerciseError when it has none."""
    return _run(_report(root, name).parent)


def shared(one: Run, other: Run) -> list[str]:
    """The experiments that both runs have, in the order of the first."""
    return [name for name in one.experiments if name in other.experiments]


def folder(root: Path, name: str) -> Path:
    """The folder of a run; ExerciseError when there is none."""
    found = [place / name for place in _places(root)] if NAME.fullmatch(name) else []
    place = next((each for each in found if (each / "run.json").is_file()), None)
    if place is None:
        raise ExerciseError(f"There is no run {name[:40]!r} in {FOLDER}/; loadtests run makes one.")
    return place


def _report(root: Path, name: str) -> Path:
    files = [place / name / "report.html" for place in _places(root)] if NAME.fullmatch(name) else []
    file = next((file for file in files if file.is_file()), None)
    if file is None or file.stat().st_size > MAX_REPORT_BYTES:
        raise ExerciseError(f"The run {name[:40]} has no report; loadtests report writes it.")
    return file


def _places(root: Path) -> tuple[Path, Path]:
    return root / FOLDER, root.parent / FOLDER


def _run(folder: Path) -> Run:
    try:
        notes = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        notes = {}
    notes = notes if isinstance(notes, dict) else {}
    experiments = notes.get("experiments")
    seconds = notes.get("seconds")
    return Run(
        folder.name,
        tuple(map(str, experiments)) if isinstance(experiments, list) else (),
        str(notes.get("started", "")),
        seconds / 60 if isinstance(seconds, int | float) else 0.0,
        (folder / "report.html").is_file(),
    )
