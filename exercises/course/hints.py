"""Reads hints.md: three hints for each task, from a pointer to nearly the code, shown one at a time."""

from __future__ import annotations

from pathlib import Path

from exercises.course.sections import sections
from exercises.errors import CourseError, ExerciseError

LEVELS = ("Where to look", "The idea", "Nearly the code")


def read_hints(file: Path) -> dict[str, tuple[str, ...]]:
    """Task id to its three hints, in the order of LEVELS; CourseError when one is missing."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError:
        raise CourseError(f"{file} is missing.") from None
    found: dict[str, tuple[str, ...]] = {}
    for task, body in sections(text, "##"):
        levels = sections(body, "###")
        names = tuple(name for name, _ in levels)
        if names != LEVELS or not all(hint for _, hint in levels):
            raise CourseError(f"{file}: {task} needs the headings {', '.join(LEVELS)}, each with a text.")
        found[task] = tuple(hint for _, hint in levels)
    return found


def next_hint(file: Path, task: str, seen: int) -> tuple[int, str]:
    """Number (from 1) and text of the first hint not yet seen; the last hint when all were seen."""
    hints = _hints_for(file, task)
    level = min(seen, len(LEVELS) - 1)
    return level + 1, hints[level]


def seen_hints(file: Path, task: str, seen: int) -> list[tuple[int, str]]:
    """Number (from 1) and text of each hint that was seen."""
    return list(enumerate(_hints_for(file, task)[:seen], start=1))


def _hints_for(file: Path, task: str) -> tuple[str, ...]:
    known = read_hints(file)
    if task not in known:
        raise ExerciseError(f"There is no task {task!r} here; the tasks are {', '.join(known)}.")
    return known[task]
