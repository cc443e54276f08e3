"""What differs between two states of a learner's files: a unified diff for the terminal, contents for the page."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from exercises import files
from exercises.course.course import Course, Step, Tree
from exercises.errors import ExerciseError
from exercises.workspaces.workspace import Workspace

Reader = Callable[[str], bytes | None]
"""Takes a path; returns the file's content, None when there is no such file."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two states, and the paths of which they are compared."""

    relpaths: frozenset[str]
    old: Reader
    new: Reader

    def changed(self) -> list[str]:
        """The paths with different contents, sorted."""
        return changed(self.relpaths, self.old, self.new)

    def lines(self) -> list[str]:
        """The unified diff; empty when nothing differs."""
        return list(unified(self.relpaths, self.old, self.new))


def mine(workspace: Workspace) -> Comparison:
    """What the learner changed since the exercise began. Its beginning is fixed: nothing typed moves it."""
    began = workspace.store.get(workspace.state.entered)

    def old(relpath: str) -> bytes | None:
        name = began.files.get(relpath)
        return None if name is None else workspace.store.content(name)

    present = frozenset(files.list_files(workspace.root))
    return Comparison(present | frozenset(began.files), old, _of_workspace(workspace))


def to_solution(workspace: Workspace) -> Comparison:
    """What one would still have to change to get our solution. Files of the learner's own are left out."""
    course = workspace.course
    solution = course.state(workspace.step, "solution")
    present = (
        relpath
        for relpath in files.list_files(workspace.root)
        if relpath.partition("/")[0] in course.top_level
    )
    return Comparison(frozenset({*solution, *present}), _of_workspace(workspace), _of_tree(solution))


def brought(course: Course, step: Step) -> Comparison:
    """What the exercise added at its start to the solution of the exercise before."""
    before = course.before(step)
    below = course.state(before, "solution") if before else course.base
    return _between(below, course.state(step, "start"))


def coming(course: Course, step: Step) -> Comparison:
    """What the next exercise will add; ExerciseError after the last one."""
    following = course.after(step)
    if following is None:
        raise ExerciseError(f"{step.label} is the last exercise; there is no next one.")
    return brought(course, following)


def solved(course: Course, step: Step) -> Comparison:
    """What our solution changes in the exercise's start."""
    return _between(course.state(step, "start"), course.state(step, "solution"))


def changed(relpaths: Iterable[str], old: Reader, new: Reader) -> list[str]:
    """The paths with different contents, sorted."""
    return sorted(relpath for relpath in set(relpaths) if old(relpath) != new(relpath))


def unified(relpaths: Iterable[str], old: Reader, new: Reader) -> Iterator[str]:
    """The lines of the diff of these paths; none for equal files."""
    for relpath in changed(relpaths, old, new):
        before, after = old(relpath), new(relpath)
        a = "/dev/null" if before is None else f"a/{relpath}"
        b = "/dev/null" if after is None else f"b/{relpath}"
        if is_binary(before) or is_binary(after):
            yield f"{a} and {b} are binary files and differ"
            continue
        yield from difflib.unified_diff(_lines(before), _lines(after), a, b, lineterm="")


def is_binary(content: bytes | None) -> bool:
    """Whether a content is no text."""
    return b"\0" in (content or b"")


def _lines(content: bytes | None) -> list[str]:
    return (content or b"").decode(errors="replace").splitlines()


def _of_workspace(workspace: Workspace) -> Reader:
    return lambda relpath: files.read(workspace.root / relpath)


def _of_tree(tree: Tree) -> Reader:
    return lambda relpath: tree[relpath].read_bytes() if relpath in tree else None


def _between(old: Tree, new: Tree) -> Comparison:
    return Comparison(frozenset({*old, *new}), _of_tree(old), _of_tree(new))
