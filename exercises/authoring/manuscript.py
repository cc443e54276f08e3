"""What is wrong with a course on paper: files that are missing, stored twice or contradict each other. Runs no shop."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from exercises import files
from exercises.authoring.layers import Layer, layers
from exercises.authoring.new import INSTRUCTOR_PARTS, README_PARTS
from exercises.checks.loading import checks_of
from exercises.course.course import Course, Step
from exercises.course.hints import ladders
from exercises.errors import ExerciseError

MIN_ALT, MIN_WRONG = 1, 3
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def problems(course: Course) -> Iterator[str]:
    """Each as a sentence; none when all is well."""
    for each in layers(course):
        yield from _stored_twice(course, each)
    for step in course.steps:
        for look in (_checks, _variants, _texts, _hints, _code_in_the_readme):
            try:
                yield from look(course, step)
            except ExerciseError as error:
                yield str(error)
    known = {step.id for step in course.steps} | {
        name.partition("-")[2] for name in course.workshop.exercises
    }
    for track in course.workshop.tracks:
        for name in track.exercises:
            if name not in known:
                yield f"workshop.toml: the track {track.id} names {name}, which is no exercise."


def _stored_twice(course: Course, each: Layer) -> Iterator[str]:
    for place in files.theirs(each.folder):
        content = (each.folder / place).read_bytes()
        if each.result.get(place) != each.folder / place:
            yield f"{each.label}/{place} is never used: [reference] of exercise.toml takes its place."
        elif place in each.below and each.below[place].read_bytes() == content:
            yield f"{each.label}/{place} is equal to the state before; remove it."
        elif files.content(course.repository / place) == content and not _is_removed_later(each, place):
            yield f"{each.label}/{place} is equal to the repository's file; name it in [reference] instead."
        elif (
            place.endswith(".py") and not each.which.startswith("wrong/") and (error := _not_python(content))
        ):
            yield f"{each.label}/{place} is not Python: {error}."


def _not_python(content: bytes) -> str:
    try:
        ast.parse(content)
    except (SyntaxError, ValueError) as error:
        return str(error)
    return ""


def _is_removed_later(each: Layer, place: str) -> bool:
    """An alternative or a mistake cannot name references, so it may hold a copy."""
    return each.which not in {"start", "solution"} and place not in each.below


def _checks(course: Course, step: Step) -> Iterator[str]:
    later = {each.id for each in course.steps[course.steps.index(step) + 1 :]}
    named = {name.partition("-")[2] for name in course.workshop.exercises}
    for check in checks_of(step):
        if check.until and check.until not in later | (named - {each.id for each in course.steps}):
            yield f"{step.label}: the check {check.id} holds until {check.until}, which is no later exercise."
        if not check.says.endswith((".", "!", "?")):
            yield f"{step.label}: the docstring of the check {check.id} is no sentence."
    if step.manifest.needs_load != any(check.load for check in checks_of(step)):
        yield f"{step.label}: needs_load in exercise.toml and load=True in check.py do not agree."


def _variants(_course: Course, step: Step) -> Iterator[str]:
    for kind, least, variants in (
        ("alt", MIN_ALT, [alt.name for alt in step.manifest.alt]),
        ("wrong", MIN_WRONG, [wrong.name for wrong in step.manifest.wrong]),
    ):
        if len(variants) < least:
            yield f"{step.label} has {len(variants)} {kind}; it needs {least}."
        there = {path.name for path in (step.folder / kind).glob("*") if path.is_dir()}
        for odd in sorted(there ^ set(variants)):
            if odd in there or not _removes(step, kind, odd):
                yield f"{step.label}/{kind}/{odd} is in exercise.toml or a folder, but not both."


def _removes(step: Step, kind: str, name: str) -> bool:
    known = step.manifest.alt if kind == "alt" else step.manifest.wrong
    return any(each.name == name and each.remove for each in known)


def _texts(_course: Course, step: Step) -> Iterator[str]:
    for name, wanted in (("README.md", README_PARTS), ("instructor.md", INSTRUCTOR_PARTS)):
        text = _text(step.file(name))
        found = tuple(re.findall(r"^## +(.+?) *$", text, re.MULTILINE))
        if found != wanted:
            yield f"{step.label}/{name} needs the headings {', '.join(wanted)}, in that order."
    titles = re.findall(r"^### +\d+\. +(.+?) *$", _text(step.file("README.md")), re.MULTILINE)
    if titles != [task.title for task in step.manifest.tasks]:
        yield f"{step.label}/README.md: the numbered tasks are not those of exercise.toml."


def _hints(_course: Course, step: Step) -> Iterator[str]:
    if list(ladders(step.file("hints.md"))) != [task.id for task in step.manifest.tasks]:
        yield f"{step.label}/hints.md: the tasks are not those of exercise.toml, in that order."


def _code_in_the_readme(course: Course, step: Step) -> Iterator[str]:
    sources = {
        *course.state(step, "start").values(),
        *course.state(step, "solution").values(),
        step.file("check.py"),
    }
    texts = [_flat(_text(path)) for path in sources if path.suffix == ".py"]
    for block in BLOCK.findall(_text(step.file("README.md"))):
        wanted = textwrap.dedent(block).strip()
        if not any(_flat(wanted) in text for text in texts):
            yield f"{step.label}/README.md shows code that is in none of its files: {wanted.splitlines()[0]!r} …"


def _flat(text: str) -> str:
    """The text without indentation, so that a piece of a method is found."""
    return "\n".join(line.strip() for line in text.splitlines())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        raise ExerciseError(f"{path} is missing.") from None
