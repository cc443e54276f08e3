"""Simulated learners: through the made-up course here, through the real one in `make exercises`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from exercises.course.course import Course
from exercises.tests.learner import Learner, walks_crooked, walks_straight

pytestmark = pytest.mark.processes
REAL = Path(__file__).resolve().parents[1]


def test_a_learner_walks_through_the_made_up_course(course, tmp_path):
    walks_straight(Learner(course, tmp_path / "workspace", in_here=True))


def test_a_learner_loses_nothing_to_jumps_resets_and_power_cuts(course, tmp_path):
    walks_crooked(Learner(course, tmp_path / "workspace", in_here=True), random.Random(7))


@pytest.mark.course
def test_a_learner_walks_through_the_real_course(tmp_path):
    walks_straight(Learner(Course(REAL), tmp_path / "workspace"))


@pytest.mark.course
def test_a_learner_loses_nothing_in_the_real_course(tmp_path):
    walks_crooked(Learner(Course(REAL), tmp_path / "workspace", patient=False), random.Random(11))
