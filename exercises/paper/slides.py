"""The slides of a track: a page that goes on by key, prints one slide on a page, and has the teacher's notes."""

from __future__ import annotations

from itertools import groupby

from exercises.course.course import Course, Step
from exercises.course.manifest import Track
from exercises.course.timetable import Entry, timetable
from exercises.paper.document import filled
from exercises.paper.sheet import read_sheet


def slides(course: Course, track: Track) -> str:
    """One HTML document with the slides of this track."""
    return filled(
        "slides.html",
        course=course.workshop.title,
        track=track,
        days=_days(timetable(course, track.id)),
        sheets=[read_sheet(step) for step in steps_of(course, track)],
    )


def steps_of(course: Course, track: Track) -> list[Step]:
    """The exercises of a track, in the order of the course."""
    return [step for step in course.steps if step.id in track.exercises]


def _days(entries: list[Entry]) -> list[list[Entry]]:
    return [list(day) for _, day in groupby(entries, key=lambda entry: entry.day)]
