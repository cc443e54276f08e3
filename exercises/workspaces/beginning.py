"""Makes a folder a workspace, whole or not at all: with the first exercise, or around files that are there already."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from exercises import files
from exercises.course.course import Course, Step
from exercises.errors import ExerciseError
from exercises.workspaces import upstream
from exercises.workspaces.snapshots import Store
from exercises.workspaces.state import DATA_FOLDER, State, StateFile


def create(root: Path, course: Course) -> Step:
    """Make `root`, which may be an empty folder, a workspace with the first exercise."""
    step = course.steps[0]
    tree = course.state(step, "start")
    if root.is_symlink() and not root.exists():
        raise ExerciseError(f"{root} is a link to a folder that is not there; make that folder first.")
    if root.exists() and not _may_be_filled(root, tree):
        raise ExerciseError(
            f"{root} exists and is no workspace; move it away or choose another folder with --workspace. "
            f"If it is a workspace that lost its {DATA_FOLDER}, name its exercise: exercises adopt N"
        )
    with _draft(root) as draft:
        course.write(tree, draft)
        store = Store(draft / DATA_FOLDER)
        state = State(entered=1, **upstream.entering(course, step, store))
        store.take(draft, f"begin {step.label}", state)
        StateFile(draft / DATA_FOLDER).write(state)
        if root.exists():
            _fill(root, draft)
        else:
            draft.replace(root)
    return step


def adopt(root: Path, course: Course, step: Step) -> None:
    """Make `root` a workspace at an exercise, with the files that it has; no file of the learner's is changed."""
    if (root / DATA_FOLDER).is_dir():
        raise ExerciseError(
            f"{root} is a workspace already; exercises jump {step.number} goes to another exercise."
        )
    if not any((root / name).exists() for name in course.top_level):
        raise ExerciseError(f"{root} has no file of the course; exercises start makes a workspace.")
    with _draft(root) as draft:
        store = Store(draft / DATA_FOLDER)
        store.take(root, "found here", None)
        state = State(entered=2, **upstream.entering(course, step, store))
        tree = course.state(step, "start")
        began = {relpath: store.keep(source.read_bytes()) for relpath, source in tree.items()}
        store.new(f"begin {step.label}", state, began)
        StateFile(draft / DATA_FOLDER).write(state)
        _fill(root, draft)


def _may_be_filled(root: Path, tree: dict[str, Path]) -> bool:
    """Whether the folder is empty, or has only what a killed `start` left there."""
    if not root.is_dir():
        return False
    _sweep(root, root.name)
    there = [path for path in root.rglob("*") if not path.is_dir() and path.suffix != ".pyc"]
    names = [path.relative_to(root).as_posix() for path in there]
    return all(name in tree and files.read(root / name) == tree[name].read_bytes() for name in names)


@contextmanager
def _draft(root: Path) -> Iterator[Path]:
    """A folder beside a new `root`, or in one that is there: whose parent one may not write to, or which is a link."""
    parent = root if root.exists() else root.parent
    _sweep(parent, root.name)
    draft = parent / f".{root.name}.new-{os.getpid()}"
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _fill(root: Path, draft: Path) -> None:
    """Move everything to `root`; the tool's own folder last, because with it the folder is a workspace."""
    for path in sorted(draft.iterdir(), key=lambda path: path.name == DATA_FOLDER):
        target = root / path.name
        if target.is_dir() and path.name != DATA_FOLDER:
            shutil.rmtree(target)  # what a killed start left
        path.replace(target)


def _sweep(parent: Path, name: str) -> None:
    """Remove unfinished folders of a killed `start`."""
    for draft in parent.glob(f".{glob.escape(name)}.new-*"):
        pid = draft.name.rpartition("-")[2]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(draft, ignore_errors=True)
