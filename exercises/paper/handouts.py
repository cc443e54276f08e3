"""The handouts: one A4 page for each exercise, to write on."""

from __future__ import annotations

from collections.abc import Sequence

from exercises.course.course import Course, Step
from exercises.paper.document import filled
from exercises.paper.sheet import read_sheet


def handouts(course: Course, steps: Sequence[Step]) -> str:
    """One HTML document with a page for each of these exercises."""
    return filled("handouts.html", course=course.workshop.title, sheets=[read_sheet(step) for step in steps])
