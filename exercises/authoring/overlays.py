"""The overlays of a course, each with the state below it and the state that it makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from exercises.course.course import Course, Step, Tree
from exercises.course.manifest import Alternative, Mistake
from exercises.errors import ExerciseError


@dataclass(frozen=True, slots=True)
class Overlay:
    """One overlay: the state below it, and the state that it makes."""

    course: Course
    step: Step
    which: str
    """start, solution, alt/NAME or wrong/NAME."""

    @property
    def below(self) -> Tree:
        """The state that it is applied to."""
        return self.course.below(self.step, self.which)

    @property
    def result(self) -> Tree:
        """The state that it makes; CourseError when it does not fit."""
        return self.course.state(self.step, self.which)

    @property
    def variant(self) -> Alternative | Mistake | None:
        """Its entry in exercise.toml; None for the start and the solution."""
        return self.step.manifest.variants.get(self.which)

    @property
    def folder(self) -> Path:
        """The folder with its own files."""
        return self.step.folder / self.which

    @property
    def patch(self) -> Path:
        """The file for its patch, when it is an answer other than the solution."""
        return self.step.patch(self.which)

    @property
    def label(self) -> str:
        """The name in messages."""
        return f"{self.step.label}/{self.which}"


def overlay(course: Course, step: Step, which: str) -> Overlay:
    """The overlay of an exercise with this name; ExerciseError when there is none."""
    known = ["start", "solution", *step.manifest.variants]
    if which not in known:
        raise ExerciseError(
            f"{step.label} has no {which!r}; there are {', '.join(known)} (see exercise.toml)."
        )
    return Overlay(course, step, which)


def overlays(course: Course) -> Iterator[Overlay]:
    """All overlays in the order in which they are applied; other answers follow their solution."""
    for step in course.steps:
        for which in ("start", "solution", *step.manifest.variants):
            yield Overlay(course, step, which)


def builds_on(course: Course, later: Overlay, target: Overlay) -> bool:
    """Whether the state of `later` is built on the state of `target`."""
    if target.which not in {"start", "solution"}:
        return False
    distance = course.steps.index(later.step) - course.steps.index(target.step)
    if distance == 0:
        order = ["start", "solution"]
        relpath = order.index(later.which) if later.which in order else len(order)
        return relpath > order.index(target.which)
    return distance > 0
