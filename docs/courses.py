"""The tables of docs/teaching.md that are generated from the exercises: overview, timetables, common mistakes.

`docs.made` puts them into the page; the prose around them is written by hand.
"""  # noqa: INP001 -- docs/ is no package: this is run from a checkout, never installed

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from exercises.course.course import Course
from exercises.course.manifest import Track
from exercises.course.timetable import Entry, timetable

EXERCISES = Path(__file__).resolve().parent.parent / "exercises"


def tables() -> dict[str, Callable[[], str]]:
    """The function that makes each table, by the table's name in the page."""
    course = Course(EXERCISES)
    return {name: partial(table, course) for name, table in TABLES.items()}


def overview(course: Course) -> str:
    """Each exercise with its minutes and goal, and the tracks that contain it."""
    rows = ["| exercise | minutes | goal | tracks | makes load |", "|---|---|---|---|---|"]
    for step in course.steps:
        tracks = ", ".join(track.id for track in course.workshop.tracks if step.id in track.exercises)
        loads = "yes" if step.manifest.needs_load else "no"
        link = f"[{step.label}](../exercises/{step.label}/README.md)"
        rows.append(f"| {link} | {step.manifest.minutes} | {step.manifest.goal} | {tracks} | {loads} |")
    return "\n".join([*rows, ""])


def timetables(course: Course) -> str:
    """A table for each track."""
    return "\n".join("\n".join(_timetable(course, track)) for track in course.workshop.tracks)


def mistakes(course: Course) -> str:
    """Known mistakes by exercise, with the check that finds them."""
    parts = []
    for step in course.steps:
        parts += [f"### {step.label}", "", "| mistake | found by |", "|---|---|"]
        parts += [f"| {_cell(wrong.mistake)} | `{wrong.check}` |" for wrong in step.manifest.wrong]
        parts += [""]
    return "\n".join(parts)


def _timetable(course: Course, track: Track) -> Iterator[str]:
    entries = timetable(course, track.id)
    missing = [name for name in track.exercises if name not in {step.id for step in course.steps}]
    days = max(entry.day for entry in entries)
    yield f"### {track.title}"
    yield ""
    if missing:
        yield f"Not there yet: {', '.join(missing)}."
        yield ""
    yield "| from | until | minutes | what |"
    yield "|---|---|---|---|"
    for entry in entries:
        day = f"day {entry.day}, " if days > 1 else ""
        yield f"| {day}{entry.clock} | {_end(entry)} | {entry.minutes} | {entry.what} |"
    yield ""


def _end(entry: Entry) -> str:
    return Entry(entry.at + entry.minutes, 0, "").clock


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


TABLES: dict[str, Callable[[Course], str]] = {
    "overview": overview,
    "timetables": timetables,
    "mistakes": mistakes,
}
