"""Timetables of the tracks, from the minutes in the exercises' files: set-up, exercises, breaks, lunch, days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from exercises.course.course import Course, Step

SET_UP = 20
"""Minutes before the first exercise: installing, and a first look at the shop."""
WORK, BREAK = 110, 15
"""The most minutes of work in one piece, and the minutes of the break after it."""
MORNING, LUNCH = 180, 60
"""In tracks with a lunch, the first break after MORNING minutes is lunch, of LUNCH minutes."""
CLOSING = 15


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a timetable; `at` is in minutes from the beginning of its day."""

    at: int
    minutes: int
    what: str
    day: int = 1

    @property
    def clock(self) -> str:
        """Hours and minutes since the beginning of the day."""
        return f"{self.at // 60}:{self.at % 60:02}"


def timetable(course: Course, track_id: str) -> list[Entry]:
    """The timetable of one track; exercises that do not exist yet are left out."""
    track = next(track for track in course.workshop.tracks if track.id == track_id)
    by_id = {step.id: step for step in course.steps}
    steps = [by_id[name] for name in track.exercises if name in by_id]
    days = _split(steps, track.days)
    return [
        entry
        for number, day in enumerate(days, start=1)
        for entry in _day(number, day, has_lunch=track.lunch)
    ]


def _split(steps: list[Step], days: int) -> list[list[Step]]:
    """The exercises, in order, split into `days` days as evenly as possible."""
    if len(steps) < days:
        return [steps]
    splits = (
        [steps[a:b] for a, b in zip((0, *cuts), (*cuts, len(steps)), strict=True)]
        for cuts in combinations(range(1, len(steps)), days - 1)
    )
    return min(splits, key=lambda split: max(sum(step.manifest.minutes for step in day) for day in split))


def _day(number: int, steps: list[Step], *, has_lunch: bool) -> Iterator[Entry]:
    now = worked = 0
    if number == 1:
        yield Entry(now, SET_UP, "set-up", number)
        now = worked = SET_UP
    for step in steps:
        minutes = step.manifest.minutes
        if worked and worked + minutes > WORK:
            is_lunch = has_lunch and now >= MORNING
            rest = LUNCH if is_lunch else BREAK
            yield Entry(now, rest, "lunch" if is_lunch else "break", number)
            now, worked, has_lunch = now + rest, 0, has_lunch and not is_lunch
        yield Entry(now, minutes, step.label, number)
        now, worked = now + minutes, worked + minutes
    yield Entry(now, CLOSING, "what we take home", number)
