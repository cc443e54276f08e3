"""The parts of one exercise that a handout and slides show, read from its README.md and instructor.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from exercises.course.course import Step
from exercises.course.sections import sections, without_comments
from exercises.errors import CourseError
from exercises.paper.markup import diagrams, html, inline, items

TASK = re.compile(r"\d+\. +(.+)")


@dataclass(frozen=True)
class Task:
    """A numbered task and the command that checks only it."""

    title: Markup
    check: str


@dataclass(frozen=True)
class Sheet:
    """One exercise for paper. Texts are HTML."""

    number: str
    title: str
    label: str
    minutes: int
    goal: Markup
    story: Markup
    """All paragraphs of the story."""
    objectives: list[Markup]
    diagrams: list[str]
    """The source of each diagram, as Mermaid."""
    tasks: list[Task]
    done: Markup
    questions: list[Markup]
    key_points: list[Markup]
    notes: Mapping[str, Markup]
    """The teacher's notes by heading: Timing, Misconceptions, Questions, What to cut."""


def read_sheet(step: Step) -> Sheet:
    """Raises CourseError when the README has no such part."""
    text = _text(step, "README.md")
    parts = dict(sections(text, "##"))
    try:
        return Sheet(
            number=step.number,
            title=text.partition("\n")[0].removeprefix("# "),
            label=step.label,
            minutes=step.manifest.minutes,
            goal=inline(step.manifest.goal),
            story=html(parts["Story"]),
            objectives=items(parts["Objectives"]),
            diagrams=diagrams(text),
            tasks=_tasks(step, parts["Tasks"]),
            done=html(parts["Done when"]),
            questions=items(parts["Think about"]),
            key_points=items(parts["Key points"]),
            notes={name: html(body) for name, body in sections(_text(step, "instructor.md"), "##")},
        )
    except KeyError as missing:
        raise CourseError(f"{step.file('README.md')} has no part {missing}.") from None


def _text(step: Step, name: str) -> str:
    return without_comments(step.file(name).read_text(encoding="utf-8"))


def _tasks(step: Step, text: str) -> list[Task]:
    titles = [found[1] for name, _ in sections(text, "###") if (found := TASK.fullmatch(name))]
    return [
        Task(inline(title), f"exercises check --only {number}")
        for number, (title, _) in enumerate(zip(titles, step.manifest.tasks, strict=True), start=1)
    ]
