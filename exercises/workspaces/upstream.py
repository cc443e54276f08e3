"""Brings what changed in the course into a workspace, file by file, without touching what the learner wrote.

A file that the learner did not change is written or removed. For a file that both changed, the learner's stays and the
course's new one is written beside it, with `.incoming` at the end of its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypedDict

from pydantic import BaseModel, ConfigDict

from exercises import files
from exercises.course.course import Course, Step, Tree
from exercises.workspaces.snapshots import Store

INCOMING = ".incoming"
Reader = Callable[[str], bytes | None]
"""Takes a path in the workspace; returns the learner's content, None when there is no such file."""


class Reference(BaseModel):
    """The course's own files for an exercise at one time: digests by path."""

    model_config = ConfigDict(extra="forbid")

    start: dict[str, str]
    solution: dict[str, str]


@dataclass
class Merge:
    """New files for a workspace, and what the learner has to look at."""

    wanted: dict[str, bytes | None] = field(default_factory=dict)
    """New contents by path; None: the file is removed."""
    incoming: list[str] = field(default_factory=list)
    """The learner's files beside which the course's version is written."""
    kept: list[str] = field(default_factory=list)
    """Files that the course removes, but that stay because the learner changed them."""

    def add(self, relpath: str, ours: bytes | None, *, changed: bool) -> None:
        """Take the course's content for one file, which the learner changed or not."""
        if not changed:
            self.wanted[relpath] = ours
        elif ours is None:
            self.kept.append(relpath)
        else:
            self.wanted[relpath + INCOMING] = ours
            self.incoming.append(relpath)

    def __bool__(self) -> bool:
        """Whether there is anything to bring."""
        return bool(self.wanted or self.kept)


def reference(course: Course, step: Step) -> Reference:
    """The course's files for an exercise as they are now."""
    start, solution = (
        {relpath: files.digest(source.read_bytes()) for relpath, source in course.state(step, which).items()}
        for which in ("start", "solution")
    )
    return Reference(start=start, solution=solution)


class Entering(TypedDict):
    """What changes in the state when the learner gets the course's files of an exercise."""

    exercise: str
    reference: str
    version: int


def entering(course: Course, step: Step, store: Store) -> Entering:
    """The new values; the reference is stored."""
    known = store.keep(reference(course, step).model_dump_json().encode())
    return {"exercise": step.id, "reference": known, "version": course.workshop.version}


def update(course: Course, step: Step, before: Reference, mine: Reader) -> Merge:
    """What changed in the course for the learner's exercise since `before`."""
    now, merge = reference(course, step), Merge()
    for relpath in sorted({*before.start, *before.solution, *now.start, *now.solution}):
        old = (before.start.get(relpath), before.solution.get(relpath))
        new = (now.start.get(relpath), now.solution.get(relpath))
        have = _digest(mine(relpath))
        if old == new or have in new:
            continue
        if have in old:
            which = ("start", "solution")[old.index(have)]
            merge.add(relpath, content(course.state(step, which), relpath), changed=False)
        elif have is not None and old[0] != new[0]:
            merge.add(relpath, content(course.state(step, "start"), relpath), changed=True)
    return merge


def advance(course: Course, step: Step, following: Step, mine: Reader) -> Merge:
    """What the next exercise brings."""
    start, old = course.state(step, "start"), course.state(step, "solution")
    new, merge = course.state(following, "start"), Merge()
    for relpath in sorted({*old, *new}):
        ours, before, have = content(new, relpath), content(old, relpath), mine(relpath)
        if ours not in {before, have}:
            merge.add(relpath, ours, changed=have not in {before, content(start, relpath)})
    return merge


def both(update: Merge, advance: Merge, following: Tree) -> Merge:
    """Both at once: what the next exercise brings, after what changed in the present one."""
    first = {relpath: text for relpath, text in update.wanted.items() if not relpath.endswith(INCOMING)}
    merge = Merge(first | advance.wanted, list(advance.incoming), sorted({*update.kept, *advance.kept}))
    for relpath in update.incoming:
        if relpath in following and relpath not in advance.incoming:
            merge.add(relpath, content(following, relpath), changed=True)
    return merge


def content(tree: Tree, relpath: str) -> bytes | None:
    """The content of a file of the course; None when the state does not have it."""
    return tree[relpath].read_bytes() if relpath in tree else None


def _digest(text: bytes | None) -> str | None:
    return None if text is None else files.digest(text)
