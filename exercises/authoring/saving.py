"""Writes a state of an exercise to a folder for editing, and saves the edited folder in the exercise's overlay.

A change in an early state must also reach later overlays that have the same file whole. `save` carries it forward with
a three-way merge and lists what is left to do by hand; a file that does not merge stays as it was.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from exercises import files
from exercises.authoring.overlays import Overlay, builds_on, overlay, overlays
from exercises.course.course import Course, Step, Tree
from exercises.course.patches import difference, git
from exercises.errors import CourseError, ExerciseError


@dataclass(slots=True)
class Saved:
    """The result of `save`."""

    written: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    """Files of the overlay that are no longer needed."""
    carried: list[str] = field(default_factory=list)
    """Files of later overlays into which the change was merged."""
    manual: list[str] = field(default_factory=list)
    """Sentences about what is left to do by hand."""


def default_folder(course: Course, step: Step, which: str) -> Path:
    """The folder for editing a state when no other is given; git ignores it."""
    return course.repository / "build" / "exercises" / f"{step.label}.{which.replace('/', '.')}"


def edit(course: Course, step: Step, which: str, folder: Path) -> int:
    """Write a state to an empty folder; returns the number of files."""
    if folder.exists() and any(folder.iterdir()):
        raise ExerciseError(f"{folder} is not empty; save or remove its files first.")
    tree = overlay(course, step, which).result
    course.write(tree, folder)
    return len(tree)


def save(course: Course, step: Step, which: str, folder: Path) -> Saved:
    """Save an edited folder: its differences from the state below become the overlay. Then carry them forward."""
    if not folder.is_dir():
        raise ExerciseError(
            f"There is no folder {folder}; make it first: exercises dev edit {step.number} {which}"
        )
    target = overlay(course, step, which)
    edited = _read(folder)
    if target.variant:
        return _save_answer(target, target.variant.says, edited)
    old = _contents(target.result)
    after = [later for later in overlays(course) if builds_on(course, later, target)]
    originals = {later.label: _read(later.folder) for later in after}
    saved = Saved()
    for relpath in sorted({*edited, *old}):
        if edited.get(relpath) != old.get(relpath):
            _store(course, target, relpath, edited.get(relpath), saved)
            _carry(after, originals, relpath, old.get(relpath), edited.get(relpath), saved)
    saved.manual += _no_longer_apply(Course(course.folder), after)
    return saved


def merge(mine: bytes, base: bytes, other: bytes) -> bytes | None:
    """The text with both changes of `base`; None when they change the same lines."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("mine", "base", "other")]
        for path, content in zip(paths, (mine, base, other), strict=True):
            path.write_bytes(content)
        done = git("merge-file", "-p", *map(str, paths))
    return done.stdout if done.returncode == 0 else None


def _save_answer(target: Overlay, says: str, edited: dict[str, bytes]) -> Saved:
    """Save an answer other than the solution: each changed file in its patch, or whole where that reads better."""
    below, began = _contents(target.below), _contents(target.course.state(target.step, "start"))
    manifest = f"{target.step.label}/exercise.toml"
    saved, patch = Saved(), ""
    wanted: dict[Path, bytes] = {}
    for relpath in sorted({*below, *edited}):
        content = edited.get(relpath)
        if content == below.get(relpath):
            continue
        if content is None:
            saved.manual.append(f"{relpath} is gone: name it in remove of {target.which} in {manifest}")
        elif content == began.get(relpath):
            saved.manual.append(
                f"{relpath} is as at the start: name it in keep of {target.which} in {manifest}"
            )
        elif piece := difference(relpath, below.get(relpath), content):
            patch += piece
        else:
            wanted[target.folder / relpath] = content
    if patch:
        wanted[target.patch] = f"{says}\n\n{patch}".encode()
    there = {target.folder / relpath for relpath in files.list_files(target.folder)}
    there |= {target.patch} if target.patch.is_file() else set()
    for path in sorted(there | wanted.keys()):
        name = path.relative_to(target.course.folder).as_posix()
        if path not in wanted:
            files.remove(path, target.step.folder)
            saved.removed.append(name)
        elif files.read(path) != wanted[path]:
            files.write(path, wanted[path])
            saved.written.append(name)
    return saved


def _no_longer_apply(course: Course, after: list[Overlay]) -> Iterator[str]:
    for later in after:
        try:
            overlay(course, course.step(later.step.id), later.which).result  # noqa: B018 -- the property raises when it does not fit
        except CourseError as error:
            yield str(error)


def _store(course: Course, target: Overlay, relpath: str, content: bytes | None, saved: Saved) -> None:
    """Give the overlay this content at `relpath`, or note what must be written into exercise.toml by hand."""
    own = target.folder / relpath
    below = target.below[relpath].read_bytes() if relpath in target.below else None
    manifest = f"{target.step.label}/exercise.toml"
    if (
        relpath in target.result
        and not target.result[relpath].is_relative_to(target.step.folder)
        and own.exists()
    ):
        saved.manual.append(
            f"{relpath} comes from [reference] in {manifest}; the overlay's own file is not used"
        )
    if content is None:
        if own.exists():
            own.unlink()
            saved.removed.append(f"{target.label}/{relpath}")
        if below is not None:
            saved.manual.append(f"{relpath} is gone: name it in [remove] of {manifest}")
    elif content == below:
        if own.exists():
            own.unlink()
            saved.removed.append(f"{target.label}/{relpath}")
    elif files.read(course.repository / relpath) == content and below is None:
        saved.manual.append(f"{relpath} is equal to the repository's: name it in [reference] of {manifest}")
    else:
        files.write(own, content)
        saved.written.append(f"{target.label}/{relpath}")


def _carry(
    after: list[Overlay],
    originals: dict[str, dict[str, bytes]],
    relpath: str,
    old: bytes | None,
    new_content: bytes | None,
    saved: Saved,
) -> None:
    """Merge one file's change into every later overlay that has the file."""
    chain = (old, new_content)  # the file before and after the change, in the latest state so far
    for later in after:
        own = originals[later.label].get(relpath)
        base, mine = chain
        if own is None or base is None or mine is None:
            if own is not None:
                saved.manual.append(
                    f"{later.label}/{relpath}: the file was added or removed below; look at it"
                )
            continue
        merged = merge(own, base, mine)
        if merged is None:
            saved.manual.append(
                f"{later.label}/{relpath}: the change touches lines that this overlay changes too"
            )
            if later.which in {"start", "solution"}:
                return
            continue
        if merged != own:
            files.write(later.folder / relpath, merged)
            saved.carried.append(f"{later.label}/{relpath}")
        if later.which in {"start", "solution"}:
            chain = (own, merged)


def _contents(tree: Tree) -> dict[str, bytes]:
    return {relpath: file.read_bytes() for relpath, file in tree.items()}


def _read(folder: Path) -> dict[str, bytes]:
    return {relpath: (folder / relpath).read_bytes() for relpath in files.list_files(folder)}
