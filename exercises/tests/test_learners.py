"""Simulated learners complete the made-up course; in `make exercises` also the real one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from exercises.course.course import Course
from exercises.tests.learner import Learner, complete_in_order, complete_with_detours

pytestmark = pytest.mark.processes
REAL = Path(__file__).resolve().parents[1]


def test_a_learner_completes_the_made_up_course(course, tmp_path):
    complete_in_order(Learner(course, tmp_path / "workspace", in_process=True))


def test_a_learner_loses_nothing_to_jumps_resets_and_power_cuts(course, tmp_path):
    complete_with_detours(Learner(course, tmp_path / "workspace", in_process=True), random.Random(7))


@pytest.mark.course
def test_a_learner_completes_the_real_course(tmp_path):
    complete_in_order(Learner(Course(REAL), tmp_path / "workspace"))


@pytest.mark.course
def test_a_learner_loses_nothing_in_the_real_course(tmp_path):
    complete_with_detours(Learner(Course(REAL), tmp_path / "workspace", with_load=False), random.Random(11))
