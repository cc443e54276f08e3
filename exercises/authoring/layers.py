"""The overlays of a course one by one: what each lies over, and what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from exercises.course.course import Course, Step, Tree
from exercises.errors import ExerciseError


@dataclass(frozen=True, slots=True)
class Layer:
    """One overlay: what it lies over, and what comes out."""

    step: Step
    which: str
    """start, solution, alt/NAME or wrong/NAME."""
    below: Tree
    result: Tree

    @property
    def folder(self) -> Path:
        """Where its own files are."""
        return self.step.folder / self.which

    @property
    def label(self) -> str:
        """As it is called in messages."""
        return f"{self.step.label}/{self.which}"


def layer(course: Course, step: Step, which: str) -> Layer:
    """One of an exercise's states, by the name of its folder."""
    kind, _, name = which.partition("/")
    if which == "start":
        before = course.before(step)
        below = course.state(before, "solution") if before else course.base
        return Layer(step, which, below, course.state(step, "start"))
    if which == "solution":
        return Layer(step, which, course.state(step, "start"), course.state(step, "solution"))
    known = {
        "alt": [alt.name for alt in step.manifest.alt],
        "wrong": [wrong.name for wrong in step.manifest.wrong],
    }
    if name not in known.get(kind, []):
        choices = ["start", "solution", *(f"{k}/{each}" for k, names in known.items() for each in names)]
        raise ExerciseError(
            f"{step.label} has no {which!r}; there are {', '.join(choices)} (see exercise.toml)."
        )
    result = course.alternative(step, name) if kind == "alt" else course.mistake(step, name)
    return Layer(step, which, course.state(step, "solution"), result)


def layers(course: Course) -> Iterator[Layer]:
    """Every overlay, in the order in which they are laid; those beside a solution follow it."""
    for step in course.steps:
        yield layer(course, step, "start")
        yield layer(course, step, "solution")
        for alt in step.manifest.alt:
            yield layer(course, step, f"alt/{alt.name}")
        for wrong in step.manifest.wrong:
            yield layer(course, step, f"wrong/{wrong.name}")


def lies_over(course: Course, later: Layer, target: Layer) -> bool:
    """Whether the state `later` is built on what `target` gives."""
    if target.which not in {"start", "solution"}:
        return False
    distance = course.steps.index(later.step) - course.steps.index(target.step)
    if distance == 0:
        order = ["start", "solution"]
        place = order.index(later.which) if later.which in order else len(order)
        return place > order.index(target.which)
    return distance > 0
