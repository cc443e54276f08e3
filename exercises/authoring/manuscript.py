"""Finds mistakes in a course's files: missing files, files stored twice, contradictions. It runs no shop."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from exercises import files
from exercises.authoring.mutation import equivalent
from exercises.authoring.mutation.mutants import mutants_of
from exercises.authoring.mutation.report import Report
from exercises.authoring.new import INSTRUCTOR_PARTS, README_PARTS
from exercises.authoring.overlays import Overlay, overlays
from exercises.checks.loading import checks_of
from exercises.course.course import Course, Step
from exercises.course.hints import read_hints
from exercises.course.patches import difference
from exercises.course.promises import FILE, read_promises
from exercises.errors import ExerciseError

MIN_ALT, MIN_WRONG = 1, 3
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def problems(course: Course) -> Iterator[str]:
    """One sentence for each mistake."""
    for each in overlays(course):
        try:
            yield from _stored_twice(course, each)
            yield from _not_python(each)
        except ExerciseError as error:
            yield str(error)
    for step in course.steps:
        for look in (_checks, _promises, _equivalents, _variants, _texts, _hints, _code_in_the_readme):
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
                yield f"workshop.toml: the track {track.id} has {name}, which is no exercise."


def _stored_twice(course: Course, each: Overlay) -> Iterator[str]:
    below, began = each.below, course.state(each.step, "start") if each.variant else {}
    for relpath in files.list_files(each.folder):
        content = (each.folder / relpath).read_bytes()
        if each.result.get(relpath) != each.folder / relpath:
            yield f"{each.label}/{relpath} is never used: [reference] of exercise.toml or a patch takes its place."
        elif relpath in below and below[relpath].read_bytes() == content:
            yield f"{each.label}/{relpath} is equal to the state before; remove it."
        elif relpath in began and began[relpath].read_bytes() == content:
            yield f"{each.label}/{relpath} is as at the start; name it in keep of exercise.toml instead."
        elif each.variant and relpath in below and difference(relpath, below[relpath].read_bytes(), content):
            yield f"{each.label}/{relpath} differs little from the solution; `exercises dev save` makes it a patch."
        elif each.variant is None and files.read(course.repository / relpath) == content:
            yield f"{each.label}/{relpath} is equal to the repository's file; name it in [reference] instead."


def _not_python(each: Overlay) -> Iterator[str]:
    below = each.below
    for relpath, file in each.result.items():
        if relpath.endswith(".py") and file != below.get(relpath):
            try:
                compile(file.read_bytes(), relpath, "exec", dont_inherit=True)
            except (SyntaxError, ValueError) as error:
                yield f"{each.label}/{relpath} is not Python: {error}."


def _checks(course: Course, step: Step) -> Iterator[str]:
    later = {each.id for each in course.steps[course.steps.index(step) + 1 :]}
    named = {name.partition("-")[2] for name in course.workshop.exercises}
    for check in checks_of(step):
        if check.until and check.until not in later | (named - {each.id for each in course.steps}):
            yield f"{step.label}: the check {check.id} holds until {check.until}, which is no later exercise."
        if not check.says.endswith((".", "!", "?")):
            yield f"{step.label}: the docstring of the check {check.id} is not a sentence."
    if step.manifest.needs_load != any(check.load for check in checks_of(step)):
        yield f"{step.label}: needs_load in exercise.toml and load=True in check.py do not agree."


def _promises(_course: Course, step: Step) -> Iterator[str]:
    """Each promise has its check and its wrong answer, and no check and no wrong answer is without a promise."""
    table, expected = read_promises(step), {wrong.name: wrong.check for wrong in step.manifest.wrong}
    checks = [check.id for check in checks_of(step)]
    for row in table:
        if row.check not in checks:
            yield f"{step.label}/{FILE}: {row.text!r} names the check {row.check}, which does not exist."
        if row.wrong and row.wrong not in expected:
            yield f"{step.label}/{FILE}: {row.text!r} names wrong/{row.wrong}, which is not in exercise.toml."
        elif row.wrong and expected[row.wrong] != row.check:
            yield (
                f"{step.label}/{FILE}: {row.text!r} is held by {row.check}, "
                f"but wrong/{row.wrong} must fail {expected[row.wrong]}."
            )
    for check in checks:
        if check not in {row.check for row in table}:
            yield f"{step.label}/{FILE}: no promise is held by the check {check}."
    for name in expected:
        if name not in {row.wrong for row in table}:
            yield f"{step.label}/{FILE}: no promise is broken by wrong/{name}."


def _equivalents(course: Course, step: Step) -> Iterator[str]:
    explained = equivalent.read_equivalents(step)
    if explained:
        for sentence in Report(mutants_of(course, step).mutants, {}, explained).mistakes:
            yield f"{step.label}/{equivalent.FILE}: {sentence}"


def _variants(_course: Course, step: Step) -> Iterator[str]:
    named = step.manifest.variants
    for kind, least in (("alt", MIN_ALT), ("wrong", MIN_WRONG)):
        count = sum(which.startswith(kind) for which in named)
        if count < least:
            yield f"{step.label} has {count} {kind}; it needs at least {least}."
        there = {path.name.removesuffix(".patch") for path in (step.folder / kind).glob("[!.]*")}
        for name in sorted(there):
            if f"{kind}/{name}" not in named:
                yield f"{step.label}/{kind}/{name} is not in exercise.toml."
    for which, variant in named.items():
        folder, patch = step.folder / which, step.patch(which)
        if not (folder.is_dir() or patch.is_file() or variant.remove or variant.keep):
            yield f"{step.label}/{which} is in exercise.toml, but it has neither a patch nor a folder."
        if patch.is_file() and _text(patch).partition("\n")[0] != variant.says:
            yield f"{step.label}/{which}.patch must begin with the sentence of exercise.toml: {variant.says}"


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
    if list(read_hints(step.file("hints.md"))) != [task.id for task in step.manifest.tasks]:
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
    """The text without indentation, so that a part of a method is found."""
    return "\n".join(line.strip() for line in text.splitlines())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        raise ExerciseError(f"{path} is missing.") from None
