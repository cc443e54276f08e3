"""The real course keeps what it promises.

`make test` verifies its files and runs the checks of one exercise; `make exercises` checks every state of all
exercises, also under load.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from exercises.authoring import guarantees
from exercises.authoring.guarantees import Trial, TrialResult
from exercises.authoring.manuscript import problems
from exercises.checks.results import Verdict
from exercises.checks.runner import Choice
from exercises.course.course import Course, Step
from exercises.files import list_files

COURSE = Course(Path(__file__).resolve().parents[1])
TRIALS = list(guarantees.trials(COURSE))
QUICK = "04-front-door/"
"""The exercise that `make test` checks, without the checks of earlier exercises: those are slow."""
LAST = "09-scale-the-hot-part"
SERVICE = "microservices/recommendations"


def each(trials: list[Trial]) -> list[object]:
    return [pytest.param(trial, id=trial.label) for trial in trials]


def test_the_files_of_the_course_have_no_mistake():
    assert list(problems(COURSE)) == []


@pytest.mark.parametrize("trial", each([t for t in TRIALS if t.overlay.patch.is_file()]))
def test_every_patch_applies_and_its_result_compiles(trial):
    below, result = trial.overlay.below, trial.overlay.result
    changed = [relpath for relpath, file in result.items() if file != below.get(relpath)]
    assert changed
    for relpath in changed:
        if relpath.endswith(".py"):
            compile(result[relpath].read_bytes(), relpath, "exec", dont_inherit=True)


def test_the_text_of_05_lists_every_file_that_it_brings():
    before, step = COURSE.step("front-door"), COURSE.step("in-the-dark")
    new = set(COURSE.state(step, "start")) - set(COURSE.state(before, "solution"))
    text = step.file("README.md").read_text(encoding="utf-8")
    assert len(new) > 20
    assert [relpath for relpath in sorted(new) if relpath not in text] == []


@pytest.mark.processes
@pytest.mark.parametrize(
    "trial", each([t for t in TRIALS if t.label in {QUICK + which for which in ("start", "solution")}])
)
def test_one_exercise_keeps_its_promises(trial):
    done = guarantees.run_trial(COURSE, trial, load=False, choice=Choice(quick=True, earlier=False))
    assert done.problem == ""


@pytest.mark.course
@pytest.mark.processes
@pytest.mark.parametrize("trial", each(TRIALS))
def test_every_state_of_every_exercise_keeps_its_promise(trial, start_of):
    is_start = trial.which == "start"
    done = start_of(trial.step) if is_start else guarantees.run_trial(COURSE, trial, load=True)
    assert done.problem == ""
    assert not done.inconclusive, [
        o.reason for o in done.report.outcomes if o.verdict is Verdict.INCONCLUSIVE
    ]


@pytest.mark.course
@pytest.mark.processes
@pytest.mark.parametrize("step", [pytest.param(step, id=step.label) for step in COURSE.steps])
def test_every_check_is_failed_by_something(step, start_of):
    report = start_of(step).report
    assert report is not None
    assert list(guarantees.checks_never_failed([step], {step.id: report})) == []


@pytest.mark.course
@pytest.mark.processes
@pytest.mark.parametrize("step", [pytest.param(step, id=step.label) for step in COURSE.steps])
def test_every_solution_passes_the_acceptance_suite(step):
    assert guarantees.run_acceptance(COURSE, step) == ""


@pytest.mark.skipif(LAST not in {step.label for step in COURSE.steps}, reason=f"{LAST} is not written yet")
def test_at_the_end_the_learners_service_is_the_reference_byte_for_byte():
    tree = COURSE.state(COURSE.step(LAST), "solution")
    reference = COURSE.repository / SERVICE
    names = {f"{SERVICE}/{name}" for name in list_files(reference, COURSE.workshop.leave_out)}
    assert {relpath for relpath in tree if relpath.startswith(f"{SERVICE}/")} == names
    for relpath in names:
        assert tree[relpath].read_bytes() == (COURSE.repository / relpath).read_bytes(), relpath


@pytest.fixture(scope="session")
def start_of() -> Callable[[Step], TrialResult]:
    """The result of checking an exercise's start. Two tests look at it; each start is checked once."""

    @cache
    def check(step: Step) -> TrialResult:
        trial = next(t for t in TRIALS if t.step is step and t.which == "start")
        return guarantees.run_trial(COURSE, trial, load=True)

    return check
