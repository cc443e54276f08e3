"""Timetables: nothing overlaps, nobody works too long, and the days are even."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from exercises.course.course import Course
from exercises.course.manifest import Track
from exercises.course.timetable import CLOSING, SET_UP, WORK, timetable

COURSE = Course(Path(__file__).parents[1])
TRACKS = [track.id for track in COURSE.workshop.tracks]
ALL = {step.label: step.manifest.minutes for step in COURSE.steps}


@pytest.mark.parametrize("track", TRACKS)
def test_each_entry_begins_when_the_one_before_ends(track: str) -> None:
    for one, next_one in pairwise(timetable(COURSE, track)):
        assert next_one.at == (one.at + one.minutes if one.day == next_one.day else 0)


@pytest.mark.parametrize("track", TRACKS)
def test_a_track_has_its_exercises_with_their_minutes(track: str) -> None:
    wanted = next(each.exercises for each in COURSE.workshop.tracks if each.id == track)
    shown = {entry.what: entry.minutes for entry in timetable(COURSE, track) if entry.what in ALL}
    assert shown == {
        step.label: step.manifest.minutes for name in wanted for step in COURSE.steps if step.id == name
    }


@pytest.mark.parametrize("track", TRACKS)
def test_nobody_works_too_long_without_a_rest(track: str) -> None:
    worked = 0
    for entry in timetable(COURSE, track):
        if entry.what in {"break", "lunch", "what we take home"}:
            worked = 0
            continue
        assert worked == 0 or worked + entry.minutes <= WORK
        worked += entry.minutes


@pytest.mark.parametrize("track", TRACKS)
def test_each_day_ends_with_a_talk_and_only_the_first_begins_with_the_set_up(track: str) -> None:
    entries = timetable(COURSE, track)
    for day in range(1, max(entry.day for entry in entries) + 1):
        that = [entry for entry in entries if entry.day == day]
        assert (that[-1].what, that[-1].minutes) == ("what we take home", CLOSING)
        assert (that[0].what == "set-up" and that[0].minutes == SET_UP) == (day == 1)


@pytest.mark.parametrize("track", COURSE.workshop.tracks, ids=TRACKS)
def test_there_is_at_most_one_lunch_a_day_and_none_where_the_track_has_none(track: Track) -> None:
    lunches = [entry.day for entry in timetable(COURSE, track.id) if entry.what == "lunch"]
    assert len(lunches) == len(set(lunches))
    assert track.lunch or not lunches
