"""The overlays of a course one by one: what each lies over, and what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from exercises.course.course import Course, Step, Tree
from exercises.course.manifest import Alternative, Mistake
from exercises.errors import ExerciseError


@dataclass(frozen=True, slots=True)
class Overlay:
    """One overlay: what it lies over, and what comes out."""

    course: Course
    step: Step
    which: str
    """start, solution, alt/NAME or wrong/NAME."""

    @property
    def below(self) -> Tree:
        """What its own files are laid over."""
        return self.course.below(self.step, self.which)

    @property
    def result(self) -> Tree:
        """What comes out; CourseError when the overlay does not fit."""
        return self.course.state(self.step, self.which)

    @property
    def variant(self) -> Alternative | Mistake | None:
        """What exercise.toml says of it; None for the start and the solution."""
        return self.step.manifest.variants.get(self.which)

    @property
    def folder(self) -> Path:
        """Where its own files are."""
        return self.step.folder / self.which

    @property
    def patch(self) -> Path:
        """Where what differs little is kept, if it is an answer beside the solution."""
        return self.step.patch(self.which)

    @property
    def label(self) -> str:
        """As it is called in messages."""
        return f"{self.step.label}/{self.which}"


def overlay(course: Course, step: Step, which: str) -> Overlay:
    """One of an exercise's states, by the name of its folder."""
    known = ["start", "solution", *step.manifest.variants]
    if which not in known:
        raise ExerciseError(
            f"{step.label} has no {which!r}; there are {', '.join(known)} (see exercise.toml)."
        )
    return Overlay(course, step, which)


def overlays(course: Course) -> Iterator[Overlay]:
    """Every overlay, in the order in which they are laid; those beside a solution follow it."""
    for step in course.steps:
        for which in ("start", "solution", *step.manifest.variants):
            yield Overlay(course, step, which)


def builds_on(course: Course, later: Overlay, target: Overlay) -> bool:
    """Whether the state `later` is built on what `target` gives."""
    if target.which not in {"start", "solution"}:
        return False
    distance = course.steps.index(later.step) - course.steps.index(target.step)
    if distance == 0:
        order = ["start", "solution"]
        relpath = order.index(later.which) if later.which in order else len(order)
        return relpath > order.index(target.which)
    return distance > 0
