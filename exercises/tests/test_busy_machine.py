"""A run of Locust that hardly any visit fits into says nothing about the learner's file when the machine was busy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from exercises.checks.bench import CheckBench
from exercises.checks.checking import Inconclusive, Ran
from exercises.checks.loading import checks_of
from exercises.course.course import Course

COURSE = Course(Path(__file__).resolve().parents[1])


def judge_visits(folder: Path, *, visits: float, busy: float) -> None:
    checks_of(COURSE.step("measure-first"))  # loads the module, whose folder has a dash in its name
    module: Any = sys.modules["exercises_check_02_measure_first"]
    run = module.Measured(
        ran=Ran("locust", 0, "", "", 11.0),
        counts={("GET", "/products/<sku>", "200"): visits},
        seconds={},
        window=11.0,
        lines=[],
        asked=[],
        skus=frozenset(),
        users=20,
        memory_mb=200.0,
        busy=busy,
    )
    module._expect_visits(CheckBench(COURSE, folder / "workspace", folder / "home", seed=1), run)


def test_a_few_visits_on_a_busy_machine_are_inconclusive(tmp_path):
    with pytest.raises(Inconclusive, match="only 25 visits arrived"):
        judge_visits(tmp_path, visits=25, busy=64.0)


@pytest.mark.parametrize(("visits", "busy"), [(25, 0.0), (200, 64.0)])
def test_a_quiet_machine_or_enough_visits_are_judged(tmp_path, visits, busy):
    judge_visits(tmp_path, visits=visits, busy=busy)
