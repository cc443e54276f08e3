"""The course: its exercises in order, and the state of a workspace before and after each, made from overlays.

A state is a dict from the path in the workspace to the file with the content. Nothing is copied until `write` makes a
folder of it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from functools import cached_property
from importlib.util import cache_from_source
from pathlib import Path

from exercises import files
from exercises.course.manifest import Copy, Exercise, Workshop, read
from exercises.course.patches import patched
from exercises.errors import CourseError, ExerciseError

Tree = dict[str, Path]
FOLDER = re.compile(r"(\d\d)-([a-z0-9]+(?:-[a-z0-9]+)*)")


class UnknownExercise(ExerciseError):
    """No exercise has this number or name."""


@dataclass(frozen=True)
class Step:
    """One exercise with its number."""

    number: str
    """As in the name of its folder: "03"."""
    folder: Path
    manifest: Exercise

    @property
    def id(self) -> str:
        """The name that stays when the number changes."""
        return self.manifest.id

    @property
    def label(self) -> str:
        """The name in messages and of its folder: 03-draw-the-seam."""
        return f"{self.number}-{self.id}"

    def file(self, name: str) -> Path:
        """A file of the exercise, such as README.md."""
        return self.folder / name

    def task(self, name: str) -> str:
        """The id of the task with this number (as `status` shows it) or id; other names are returned unchanged."""
        ids = [task.id for task in self.manifest.tasks]
        return ids[int(name) - 1] if name in map(str, range(1, len(ids) + 1)) else name

    def patch(self, which: str) -> Path:
        """The file for an answer such as "wrong/patient" as a patch; it need not exist."""
        return self.folder / f"{which}.patch"


class Course:
    """All exercises that exist."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.repository = self.folder.parent
        self.workshop = read(Workshop, self.folder / "workshop.toml")
        self.steps = self._read_steps()
        self._states: dict[tuple[str, str], Tree] = {}

    def step(self, name: str) -> Step:
        """An exercise by number or name: 3, 03, draw-the-seam and 03-draw-the-seam all mean the same."""
        wanted = name.strip().lower()
        for step in self.steps:
            if wanted in {step.id, step.label, step.number, step.number.lstrip("0")}:
                return step
        raise UnknownExercise(
            f"There is no exercise {name!r}; there are {self.steps[0].label} to {self.steps[-1].label}: exercises list"
        )

    def before(self, step: Step) -> Step | None:
        """The exercise before this one; None for the first."""
        position = self.steps.index(step)
        return self.steps[position - 1] if position else None

    def after(self, step: Step) -> Step | None:
        """The exercise that follows; None for the last."""
        position = self.steps.index(step) + 1
        return self.steps[position] if position < len(self.steps) else None

    def earlier(self, step: Step) -> list[Step]:
        """The exercises before this one, in order."""
        return self.steps[: self.steps.index(step)]

    @cached_property
    def base(self) -> Tree:
        """The state that a workspace starts from."""
        tree: Tree = {}
        for relpath in self.workshop.base:
            tree |= self._from_repository(relpath)
        return tree

    def state(self, step: Step, which: str) -> Tree:
        """The workspace at the "start" or the "solution" of an exercise, or with an answer such as "wrong/patient"."""
        key = (step.id, which)
        if key not in self._states:
            self._states[key] = self._apply_overlay(step, which)
        return self._states[key]

    def below(self, step: Step, which: str) -> Tree:
        """The state that an overlay is applied to: the state before, with copies, and without removed files."""
        before = self.before(step)
        if which == "start":
            tree = dict(self.state(before, "solution") if before else self.base)
        else:
            tree = dict(self.state(step, "start" if which == "solution" else "solution"))
        for copy in getattr(step.manifest.copies, which, ()):
            tree |= self._copies(copy, self.base if copy.original else tree)
        variant = step.manifest.variants.get(which)
        for relpath in variant.remove if variant else getattr(step.manifest.remove, which):
            gone = _found(tree, relpath)
            if not gone:
                raise CourseError(f"{step.folder / which}: {relpath} is to be removed, but it is not there.")
            for path in gone:
                del tree[path]
        for relpath in variant.keep if variant else ():
            if relpath not in self.state(step, "start"):
                raise CourseError(
                    f"{step.folder / which}: {relpath} is to be kept, but it is not in the start."
                )
            tree[relpath] = self.state(step, "start")[relpath]
        return tree

    @cached_property
    def top_level(self) -> frozenset[str]:
        """The top-level files and folders of a workspace that some state of the course has."""
        states = (self.state(step, which) for step in self.steps for which in ("start", "solution"))
        return frozenset(relpath.partition("/")[0] for tree in states for relpath in tree)

    def write(self, tree: Tree, folder: Path) -> None:
        """Write the state to a folder, with existing byte code: compiling is most of a shop's first start."""
        for relpath, source in tree.items():
            _copy(source, folder / relpath)
            compiled = Path(cache_from_source(str(source)))
            if relpath.endswith(".py") and sys.pycache_prefix is None and compiled.is_file():
                _copy(compiled, Path(cache_from_source(str(folder / relpath))))

    def _read_steps(self) -> list[Step]:
        steps: list[Step] = []
        for name in self.workshop.exercises:
            folder = self.folder / name
            parts = FOLDER.fullmatch(name)
            if parts is None:
                raise CourseError(f"{self.folder}/workshop.toml: {name!r} is not like 03-draw-the-seam.")
            if not (folder / "exercise.toml").exists():
                break  # not written yet, so no later exercise can build on it
            manifest = read(Exercise, folder / "exercise.toml")
            if manifest.id != parts[2]:
                raise CourseError(
                    f"{folder}/exercise.toml: id is {manifest.id!r}, but the folder says {parts[2]!r}."
                )
            steps.append(Step(parts[1], folder, manifest))
        if not steps:
            raise CourseError(f"No exercise of {self.folder}/workshop.toml exists.")
        return steps

    @staticmethod
    def _copies(copy: Copy, tree: Tree) -> Tree:
        made: Tree = {}
        for relpath in copy.paths:
            found = _found(tree, relpath)
            if not found:
                raise CourseError(f"{relpath} is to be copied to {copy.to}, but it is not there.")
            made |= {f"{copy.to}/{path}": tree[path] for path in found}
        return made

    def _from_repository(self, relpath: str) -> Tree:
        source = self.repository / relpath
        if source.is_file():
            return {relpath: source}
        if not source.is_dir():
            raise CourseError(f"{relpath} is not in {self.repository}.")
        found = files.list_files(source, self.workshop.leave_out)
        return {f"{relpath}/{name}": source / name for name in found}

    def _apply_overlay(self, step: Step, which: str) -> Tree:
        overlay = step.folder / which
        tree = self.below(step, which) | {relpath: overlay / relpath for relpath in files.list_files(overlay)}
        if which in step.manifest.variants:
            return tree | patched(tree, step.patch(which))
        for relpath in getattr(step.manifest.reference, which):
            tree |= self._from_repository(relpath)
        return tree


def _found(tree: Tree, relpath: str) -> list[str]:
    """The file at this path, or the files below it."""
    return [path for path in tree if path == relpath or path.startswith(f"{relpath}/")]


def _copy(source: Path, target: Path) -> None:
    """Copy content and time, but not the mode: Python compares the time with byte code, and a learner may write."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    about = source.stat()
    os.utime(target, ns=(about.st_atime_ns, about.st_mtime_ns))
