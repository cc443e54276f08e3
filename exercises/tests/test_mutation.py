"""Trying mutants: what survives is listed, what hangs is ended, results are stored, and nothing is left running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner

from exercises import cli
from exercises.authoring.manuscript import problems
from exercises.authoring.mutation import running
from exercises.authoring.mutation.edits import Kind
from exercises.authoring.mutation.equivalent import Equivalent, read_equivalents
from exercises.authoring.mutation.mutants import Mutant, mutants_of
from exercises.authoring.mutation.report import Report
from exercises.authoring.mutation.results import End, Result, Store
from exercises.authoring.mutation.worker import CHOICE, judge
from exercises.checks import results as checked
from exercises.checks.loading import checks_of
from exercises.checks.machine import MachineLoad
from exercises.checks.results import Verdict
from exercises.checks.runner import run_checks, select
from exercises.course.course import Course
from exercises.errors import CourseError, Exit
from exercises.tests.test_manifests import change

GREETING = "01-hello/solution/monolith/greeting.py"
SHORTENS = 'def hello(name):\n    return "hello " + name[:40]\n'
"""No guest's name is as long as that, so no check notices another bound."""


@pytest.fixture
def shortening(own_course):
    """A course in which a mutant of the first exercise survives; returns its folder."""
    (own_course / GREETING).write_text(SHORTENS)
    return own_course


@pytest.fixture
def mutate(monkeypatch):
    """Runs the command on a course."""

    def run(folder, *arguments):
        monkeypatch.setenv("EXERCISES_COURSE", str(folder))
        return CliRunner().invoke(cli.cli, ["dev", "mutate", *arguments])

    return run


def mutant(text: str, *, content: str = "", file: str = "monolith/greeting.py") -> Mutant:
    return Mutant(file, 2, Kind.CONSTANT, "hello", text, content or text)


def report(ends: list[End], *equivalents: Equivalent) -> Report:
    """A report of mutants "+ 0", "+ 1" and so on that ended like this."""
    results = {mutant(f"+ {number}"): Result(end, "greets") for number, end in enumerate(ends)}
    return Report(list(results), results, equivalents)


def explained(text: str, *, confirmed: bool = True) -> Equivalent:
    return Equivalent(
        file="monolith/greeting.py", within="hello", mutant=text, why="It is the same.", confirmed=confirmed
    )


@pytest.mark.processes
def test_a_mutant_that_no_check_notices_survives_and_the_next_run_knows_it(shortening, mutate, monkeypatch):
    ran = mutate(shortening, "1", "--json", "--jobs", "2")
    found = json.loads(ran.stdout)
    assert ran.exit_code == Exit.NOT_YET
    ended = {each["mutant"].splitlines()[1]: (each["result"], each["check"]) for each in found["results"]}
    assert ended == {
        "+ return None": ("caught", "greets"),
        '+ return "hello x" + name[:40]': ("caught", "greets"),
        '+ return "hello " + name[:80]': ("survived", ""),
    }
    monkeypatch.setattr(running.Worker, "ask", lambda *_: pytest.fail("the results are stored"))
    again = mutate(shortening, "hello")
    assert again.exit_code == Exit.NOT_YET
    assert "3 results are stored, 0 are tried now." in " ".join(again.output.split())
    assert "Survived:\nmonolith/greeting.py:2 (hello): constant changed\n" in again.output
    assert '    - return "hello " + name[:40]\n    + return "hello " + name[:80]\n' in again.output
    assert "2    caught by greets\n" in again.output


@pytest.mark.processes
def test_a_mutant_that_hangs_is_ended_and_the_next_one_is_tried(own_course):
    course, ended = Course(own_course), []
    step = course.step("hello")
    store = Store(course, step)
    hangs, prints = (
        mutant(content, content=content)
        for content in (
            "while True:\n    pass\n",
            'def hello(name):\n    print(1)\n    return "hello " + name\n',
        )
    )
    running.try_mutants(
        course, step, [hangs], store, bound=2.0, show=lambda _, result: ended.append(result.end)
    )
    running.try_mutants(course, step, [prints], store, show=lambda _, result: ended.append(result.check))
    assert ended == [End.HUNG, "no-print"]
    assert [store.find(each).end for each in (hangs, prints)] == [End.HUNG, End.CAUGHT]


@pytest.mark.processes
def test_a_solution_that_fails_its_own_check_says_nothing_about_mutants(own_course, mutate):
    change(own_course, GREETING, '"hello "', '"good evening "')
    ran = mutate(own_course, "1")
    assert isinstance(ran.exception, running.SolutionFails)
    assert str(ran.exception).startswith(
        "The solution of 01-hello does not pass its own check greets (caught: expected hello guest"
    )
    assert str(ran.exception).endswith("Repair it first: exercises dev verify 01")


@pytest.mark.processes
def test_ctrl_c_ends_everything_and_loses_no_result(own_course):
    (own_course / GREETING).write_text(
        'def hello(name):\n    while not name:\n        pass\n    return "hello " + name\n'
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "exercises", "dev", "mutate", "1"],
        env=os.environ | {"EXERCISES_COURSE": str(own_course)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "The solution passes" in process.stderr.readline()
    process.send_signal(signal.SIGINT)  # while the first mutant keeps its visitor waiting
    _, said = process.communicate()
    assert (process.returncode, said.strip()) == (Exit.INTERRUPTED, "Stopped.")
    course = Course(own_course)
    step = course.step("hello")
    assert [Store(course, step).find(each) for each in mutants_of(course, step).mutants] == [None] * 3


def test_a_list_of_mutants_runs_nothing(course_folder, mutate, monkeypatch):
    monkeypatch.setattr(running, "try_mutants", lambda *_: pytest.fail("nothing is run"))
    ran = mutate(course_folder, "2", "--list", "--only", "farewell.py", "--sample", "1")
    assert ran.exit_code == Exit.PASS
    assert ran.output.splitlines()[0] == "02-bye: Say goodbye"
    assert ran.output.splitlines()[-1] == "1 mutants."


def test_a_result_is_known_until_the_solution_or_the_checks_change(own_course):
    def known() -> bool:
        course = Course(own_course)
        return Store(course, course.step("hello")).find(one) is not None

    one, course = mutant("+ 1"), Course(own_course)
    Store(course, course.step("hello")).add(one, Result(End.CAUGHT, "greets"))
    assert known()
    change(own_course, "01-hello/check.py", "A guest who", "Somebody who")
    assert not known()
    change(own_course, "01-hello/check.py", "Somebody who", "A guest who")
    assert known()
    change(own_course.parent, "monolith/style.py", "old", "older")
    assert not known()


def test_what_older_checks_caught_can_be_kept_but_not_what_survived_them(own_course):
    course = Course(own_course)
    store = Store(course, course.step("hello"))
    store.add(mutant("+ 1"), Result(End.CAUGHT, "greets"))
    store.add(mutant("+ 2"), Result(End.SURVIVED))
    change(own_course, "01-hello/check.py", "A guest who", "Somebody who")
    course = Course(own_course)
    store = Store(course, course.step("hello"))
    assert [store.find(mutant(text), older=True) for text in ("+ 1", "+ 2")] == [
        Result(End.CAUGHT, "greets"),
        None,
    ]
    assert store.find(mutant("+ 1")) is None


def test_a_result_that_says_nothing_is_not_stored(own_course):
    course = Course(own_course)
    store = Store(course, course.step("hello"))
    store.add(mutant("+ 1"), Result(End.UNDECIDED, "greets"))
    assert store.find(mutant("+ 1")) is None


@pytest.mark.parametrize(
    ("verdict", "hung", "end"),
    [
        ("not yet", False, End.CAUGHT),
        ("tool error", False, End.BROKE),
        ("tool error", True, End.HUNG),
        ("inconclusive", True, End.HUNG),
        ("inconclusive", False, End.UNDECIDED),
    ],
)
def test_the_first_check_that_does_not_pass_says_how_a_mutant_ended(course, verdict, hung, end):
    check = checks_of(course.step("hello"))[0]
    outcome = checked.Outcome("hello", check, checked.Verdict(verdict), 1.0, reason="it broke", hung=hung)
    assert judge(checked.Report("hello", 1, 2.0, [outcome])) == Result(end, "greets", "it broke", 2.0)


@pytest.mark.processes
def test_the_cheap_checks_run_first_and_the_first_failure_ends_the_run(own_course, tmp_path):
    change(own_course, "01-hello/check.py", 'task="greet"', 'task="greet", load=True')
    (own_course / GREETING).write_text("print()\n")
    course = Course(own_course)
    step = course.step("hello")
    own, _, _ = select(course, step, CHOICE)
    assert [check.id for _, check in own] == ["no-print", "short", "greets"]
    course.write(course.state(step, "solution"), tmp_path / "workspace")
    report = run_checks(course, step, tmp_path / "workspace", tmp_path / "home", choice=CHOICE)
    assert [outcome.check.id for outcome in report.outcomes] == ["no-print"]


@pytest.mark.processes
def test_the_check_that_caught_a_neighbour_runs_first(own_course, tmp_path):
    (own_course / GREETING).write_text("print()\n")
    course = Course(own_course)
    step = course.step("hello")
    course.write(course.state(step, "solution"), tmp_path / "workspace")
    first = replace(CHOICE, first="greets")
    report = run_checks(course, step, tmp_path / "workspace", tmp_path / "home", choice=first)
    assert [outcome.check.id for outcome in report.outcomes] == ["greets"]


@pytest.mark.parametrize(("usual", "tries"), [(60.0, 1), (0.0, 2)])
def test_on_a_busy_machine_a_failure_is_tried_again_unless_it_came_sooner_than_a_right_answer(
    own_course, tmp_path, monkeypatch, usual, tries
):
    monkeypatch.setattr(MachineLoad, "is_busy", True)
    (own_course / GREETING).write_text("print()\n")
    course = Course(own_course)
    step = course.step("hello")
    course.write(course.state(step, "solution"), tmp_path / "workspace")
    choice = replace(CHOICE, only=("no-print",), usual={"no-print": usual})
    report = run_checks(course, step, tmp_path / "workspace", tmp_path / "home", choice=choice)
    assert [(outcome.verdict, outcome.tries) for outcome in report.outcomes] == [(Verdict.NOT_YET, tries)]


def test_a_confirmed_equivalent_is_no_survivor():
    found = report([End.CAUGHT] * 40 + [End.SURVIVED] * 2, explained("+ 40"))
    assert [each.text for each in found.survivors] == ["+ 41"]
    assert [each.text for each in found.equivalent] == ["+ 40"]
    assert found.status is Exit.NOT_YET
    assert report([End.CAUGHT] * 40 + [End.SURVIVED], explained("+ 40")).status is Exit.PASS


def test_an_equivalent_counts_only_when_a_second_reader_has_confirmed_it():
    found = report([End.CAUGHT] * 40 + [End.SURVIVED], explained("+ 40", confirmed=False))
    assert [each.text for each in found.survivors] == ["+ 40"]
    assert found.share == 0.0


@pytest.mark.parametrize(
    ("ends", "text", "sentence"),
    [
        ([End.CAUGHT] * 40, "+ 7", "'+ 7' is no equivalent: caught (greets)."),
        (
            [End.CAUGHT] * 40,
            "+ 40",
            "no mutant of monolith/greeting.py is '+ 40'; remove the entry or correct it.",
        ),
        (
            [End.CAUGHT] * 20 + [End.SURVIVED],
            "+ 20",
            "4.8% of the mutants are equivalents; at most 3% may be.",
        ),
    ],
)
def test_a_wrong_explanation_is_found(ends, text, sentence):
    found = report(ends, explained(text))
    assert found.mistakes == [sentence]
    assert found.status is Exit.NOT_YET


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (End.CAUGHT, Exit.PASS),
        (End.HUNG, Exit.PASS),
        (End.SURVIVED, Exit.NOT_YET),
        (End.BROKE, Exit.NOT_YET),
        (End.UNDECIDED, Exit.INCONCLUSIVE),
    ],
)
def test_the_exit_status_says_whether_the_checks_notice_everything(end, status):
    assert report([End.CAUGHT, end]).status is status


def test_equivalents_are_read_from_a_file_of_the_exercise(own_course):
    step = Course(own_course).step("hello")
    assert read_equivalents(step) == ()
    file = own_course / "01-hello/equivalent.toml"
    file.write_text(
        '[[equivalent]]\nfile = "monolith/greeting.py"\nwithin = "hello"\n'
        'mutant = """\n- return a\n+ return b"""\nwhy = "It is the same."\nconfirmed = true\n'
    )
    (found,) = read_equivalents(step)
    assert found.is_about(mutant("- return a\n+ return b"))
    assert not found.is_about(mutant("- return a\n+ return b", file="monolith/farewell.py"))
    stale = "no mutant of monolith/greeting.py is '- return a + return b'; remove the entry or correct it."
    assert list(problems(Course(own_course))) == [f"01-hello/equivalent.toml: {stale}"]
    file.write_text(file.read_text().replace("why", "because"))
    with pytest.raises(CourseError, match=r"equivalent\.0\.why: Field required"):
        read_equivalents(step)
