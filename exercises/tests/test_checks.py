"""Checks on a small running shop: the four results, the parts of a failure, tries, and no process left."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from exercises.checks import programs
from exercises.checks.bench import CheckBench
from exercises.checks.checking import Check, Inconclusive, NotYet
from exercises.checks.leftovers import sweep
from exercises.checks.loading import checks_of
from exercises.checks.machine import MachineLoad, Watcher
from exercises.checks.readings import OurProcesses, Reading
from exercises.checks.results import Outcome, Report, Verdict
from exercises.checks.runner import Choice, run_checks, select
from exercises.checks.shops import RunningShop
from exercises.commands.output import Printer, failure
from exercises.course.course import Course
from exercises.errors import CourseError, Exit
from exercises.tests import made_up
from exercises.tests.test_manifests import change

pytestmark = pytest.mark.processes
IDLE, BUSY = MachineLoad(0.0, 0.0, 0.0, 2), MachineLoad(1.2, 0.0, 0.0, 2)


@pytest.fixture
def make_workspace(course: Course, tmp_path: Path):
    """Writes a state of an exercise to a folder, with changed files."""

    def write(name: str, which: str = "solution", **changes: str | None) -> Path:
        folder = tmp_path / "workspace"
        course.write(course.state(course.step(name), which), folder)
        for key, text in changes.items():
            path = folder / "monolith" / f"{key}.py"
            path.unlink() if text is None else path.write_text(text)
        return folder

    return write


@pytest.fixture
def run(course: Course, tmp_path: Path):
    def check(name: str, folder: Path, **options) -> Report:
        return run_checks(course, course.step(name), folder, tmp_path / "home", **options)

    return check


def verdicts(report: Report) -> dict[str, str]:
    return {outcome.check.id: outcome.verdict.value for outcome in report.outcomes}


def test_a_right_answer_passes_with_its_figures(run, make_workspace):
    report = run("hello", make_workspace("hello"))
    assert verdicts(report) == {"greets": "pass", "no-print": "pass", "short": "pass"}
    assert (report.status, report.passed) == (Exit.PASS, True)
    assert report.outcomes[0].reason == "greeted 1 guest"


def test_a_start_is_not_yet_with_the_five_parts(run, make_workspace, monkeypatch):
    monkeypatch.setattr(Watcher, "since", lambda *_: IDLE)  # a second try would draw another guest
    report = run("hello", make_workspace("hello", "start"), seed=5)
    assert report.status is Exit.NOT_YET
    assert not report.passed
    failed = report.outcomes[0].failure
    assert failed is not None
    guest = failed.expected.removeprefix("hello ")
    assert failed.did == f"curl -i http://127.0.0.1:8000/hello/{guest}"
    assert (failed.expected, failed.got) == (f"hello {guest}", "200 hello")
    assert (failed.why, failed.look) == ("A guest who is not greeted leaves.", "monolith/greeting.py")
    again = run("hello", make_workspace("hello", "start"), seed=5)
    assert again.outcomes[0].failure == failed


def test_earlier_exercises_are_checked_again_as_long_as_they_hold(run, make_workspace):
    report = run("bye", make_workspace("bye", greeting='def hello(name):\n    return "what?"\n'))
    assert verdicts(report) == {"says-goodbye": "pass", "greets": "not yet", "no-print": "pass"}
    assert report.status is Exit.NOT_YET


def test_a_quick_check_runs_of_earlier_exercises_only_what_needs_no_more_than_the_running_shop(
    run, make_workspace
):
    report = run("bye", make_workspace("bye"), choice=Choice(quick=True))
    assert verdicts(report) == {"says-goodbye": "pass", "greets": "pass", "no-print": "not run"}
    assert report.status is Exit.PASS
    assert not report.passed


def test_earlier_exercises_are_left_out_once_the_time_is_up(run, make_workspace):
    report = run("bye", make_workspace("bye"), choice=Choice(begin_seconds=0.0))
    assert verdicts(report) == {"says-goodbye": "pass", "greets": "not run", "no-print": "not run"}
    assert not report.passed


SELL_OUT = """
    import contextlib
    import sqlite3

    with contextlib.closing(sqlite3.connect(bench.shop().database("monolith"))) as db, db:
        db.execute("DELETE FROM products")
"""
SELLS = f'''

@check("sells", task="tidy", untidy=True)
def _(bench: Bench) -> None:
    """Your shop sells."""
    {SELL_OUT}

@check("offers", task="tidy")
def _(bench: Bench) -> None:
    """Your shop has something to sell."""
    bench.some_sku()

@check("as-before", task="tidy", oracle=True)
def _(bench: Bench) -> None:
    """Your shop offers what it offered."""
    bench.same("GET", "/api/products", why="It is the same shop.", look="monolith")
'''


def test_data_that_one_check_changes_does_not_fail_another(own_course, tmp_path):
    with (own_course / "01-hello/check.py").open("a") as file:
        file.write(SELLS)
    with (own_course / "02-bye/check.py").open("a") as file:
        file.write(SELL_OUT)
    change(own_course, "01-hello/exercise.toml", '"short"]', '"short", "sells", "offers", "as-before"]')
    course = Course(own_course)
    course.write(course.state(course.step("bye"), "solution"), tmp_path / "workspace")
    report = run_checks(course, course.step("bye"), tmp_path / "workspace", tmp_path / "home")
    assert verdicts(report) == dict.fromkeys(
        ("says-goodbye", "as-before", "greets", "no-print", "offers", "sells"), "pass"
    )


def test_a_selection_runs_nothing_else(course):
    own, earlier, skipped = select(course, course.step("bye"), Choice(only=("bye",)))
    assert [check.id for _, check in own] == ["says-goodbye"]
    assert (earlier, skipped) == ([], [])


def test_a_shop_that_does_not_start_is_not_yet_with_the_end_of_its_log(run, make_workspace):
    report = run("hello", make_workspace("hello", greeting="def hello(name:\n"))
    failed = report.outcomes[0]
    assert failed.verdict is Verdict.NOT_YET
    assert failed.failure is not None
    assert failed.failure.did == "started your shop"
    assert "SyntaxError" in "\n".join(line for _, lines in failed.logs for line in lines)


def test_a_shop_that_dies_is_not_yet_with_the_last_lines_of_its_log(run, make_workspace):
    broken = (
        "import os\nimport sys\n\n\ndef hello(name):\n"
        '    print("I am tired", file=sys.stderr, flush=True)\n    os._exit(3)\n'
    )
    report = run("hello", make_workspace("hello", greeting=broken), choice=Choice(only=("greets",)))
    failed = report.outcomes[0]
    assert failed.failure is not None
    assert failed.failure.got == "no answer: the connection was lost"
    (name, lines), *others = failed.logs
    assert (name, others) == ("monolith-1", [])
    assert "I am tired" in "\n".join(lines)  # other threads of the server may write at the same moment


def test_a_check_that_only_reads_files_shows_no_log_of_the_shop(run, make_workspace, monkeypatch):
    monkeypatch.setattr(Watcher, "since", lambda *_: IDLE)  # a second try would have no shop, and so no log
    loud = "import sys\n\nprint('up', file=sys.stderr, flush=True)\n\n\n" + made_up.HELLO
    report = run("hello", make_workspace("hello", greeting=loud))
    (failed,) = [outcome for outcome in report.outcomes if outcome.verdict is Verdict.NOT_YET]
    assert failed.check.id == "no-print"
    assert failed.logs == []


def test_a_curl_line_is_on_a_line_of_its_own_and_signs_in_first(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    request = (
        'curl -i http://127.0.0.1:8000/api/orders -H "Authorization: Bearer $TOKEN" -H "X-Long: '
        + "a" * 80
        + '"'
    )
    failed = NotYet(f"killed the monolith: {request}", "an answer", "none", "It matters.", "here")
    check = Check("one", "two", "It works.", lambda _: None)
    failure(Printer(), Outcome("hello", check, Verdict.NOT_YET, 0.1, failure=failed))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "I did:     killed the monolith" in lines
    assert lines[lines.index(request) - 1].startswith("TOKEN=$(curl -s http://127.0.0.1:8000/api/sessions")


def test_a_long_line_of_the_log_keeps_its_end_where_a_traceback_says_what_happened(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    failed = NotYet(
        "asked", "200", "500", "It matters.", "here", ("Traceback: " + "x" * 900 + " KeyError: 'sku'",)
    )
    check = Check("one", "two", "It works.", lambda _: None)
    failure(
        Printer(), Outcome("hello", check, Verdict.NOT_YET, 0.1, 1, failed, logs=[("", list(failed.log))])
    )
    out = capsys.readouterr().out
    assert "Traceback: x" in out
    assert "KeyError: 'sku'" in out
    assert "x" * 300 not in out


def test_a_missing_file_is_not_yet(run, make_workspace):
    report = run("hello", make_workspace("hello", greeting=None), choice=Choice(only=("no-print",)))
    failed = report.outcomes[0].failure
    assert failed is not None
    assert (failed.did, failed.got) == ("read monolith/greeting.py", "there is none")


def test_a_mistake_of_a_check_is_a_tool_error_with_its_traceback_in_a_file(own_course, tmp_path):
    change(own_course, "01-hello/check.py", "name = f", "name = [][0] or f")
    course = Course(own_course)
    course.write(course.state(course.step("hello"), "solution"), tmp_path / "workspace")
    report = run_checks(course, course.step("hello"), tmp_path / "workspace", tmp_path / "home")
    assert report.status is Exit.TOOL_ERROR
    assert "IndexError" in report.outcomes[0].reason
    assert "a mistake of the course, not yours" in report.outcomes[0].reason
    assert "IndexError" in (tmp_path / "home/tool-error-hello-greets.txt").read_text()


def test_a_check_without_a_sentence_is_a_mistake_of_the_course(own_course):
    change(own_course, "01-hello/check.py", '    """Your greeting prints nothing."""\n', "")
    with pytest.raises(CourseError, match="no-print has no docstring"):
        checks_of(Course(own_course).step("hello"))


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        ([Verdict.PASS, Verdict.SKIPPED], Exit.PASS),
        ([Verdict.PASS, Verdict.INCONCLUSIVE], Exit.INCONCLUSIVE),
        ([Verdict.INCONCLUSIVE, Verdict.NOT_YET], Exit.NOT_YET),
        ([Verdict.NOT_YET, Verdict.TOOL_ERROR], Exit.TOOL_ERROR),
    ],
)
def test_the_worst_result_is_the_exit_status(seen, status):
    check = Check("x", "t", "It works.", lambda _: None)
    assert Report("e", 1, 0.0, [Outcome("e", check, verdict, 0.0) for verdict in seen]).status == status


class Made:
    """A course of one exercise with a check of the test's own; no shop is started."""

    def __init__(self, monkeypatch, tmp_path, course):
        self._monkeypatch, self._home, self._course = monkeypatch, tmp_path / "home", course

    def run(self, check, machine: MachineLoad, **options) -> Outcome:
        made = Check("made", "greet", "It works.", check, shop=False, **options)
        self._monkeypatch.setattr("exercises.checks.runner.checks_of", lambda _step: [made])
        self._monkeypatch.setattr(Watcher, "since", lambda _self, _began: machine)
        step = self._course.step("hello")
        return run_checks(self._course, step, self._home.parent, self._home, seed=1).outcomes[0]


@pytest.fixture
def made(monkeypatch, tmp_path, course):
    return Made(monkeypatch, tmp_path, course)


def failing(times: int):
    calls = []

    def check(bench):
        calls.append(1)
        if len(calls) <= times:
            raise bench.not_yet(expected="soon", got="late", why="Time is money.", look="the clock")

    return check


@pytest.mark.parametrize(
    ("times", "machine", "options", "verdict", "tries"),
    [
        (0, BUSY, {}, Verdict.PASS, 1),
        (1, IDLE, {}, Verdict.NOT_YET, 1),
        (1, BUSY, {}, Verdict.PASS, 2),
        (9, BUSY, {}, Verdict.NOT_YET, 2),
        (2, IDLE, {"timing": True}, Verdict.PASS, 3),
        (9, IDLE, {"timing": True}, Verdict.NOT_YET, 3),
        (9, BUSY, {"timing": True}, Verdict.INCONCLUSIVE, 3),
        (9, IDLE, {"timing": True, "load": True}, Verdict.NOT_YET, 1),
        (9, BUSY, {"timing": True, "load": True}, Verdict.INCONCLUSIVE, 3),
    ],
)
def test_a_check_that_depends_on_time_is_never_not_yet_on_a_busy_machine(
    made, times, machine, options, verdict, tries
):
    outcome = made.run(failing(times), machine, **options)
    assert (outcome.verdict, outcome.tries) == (verdict, tries)
    if verdict is Verdict.INCONCLUSIVE:
        assert outcome.reason == (
            "it failed 3 times, but the machine was busy: other programs used up to 1.2 of 2 cores. "
            "The last time: looked at your workspace: expected soon, got late"
        )


def test_a_check_can_be_inconclusive_by_itself(made):
    def check(bench):
        raise bench.inconclusive("the signal was 1.4 times the gate")

    outcome = made.run(check, IDLE)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, "the signal was 1.4 times the gate")


@pytest.mark.parametrize(("machine", "verdict"), [(IDLE, Verdict.TOOL_ERROR), (BUSY, Verdict.INCONCLUSIVE)])
def test_a_check_that_does_not_end_is_stopped(made, machine, verdict):
    outcome = made.run(lambda _: signal.pause(), machine, seconds=0.02)
    assert outcome.verdict is verdict
    assert "did not end within 0 s" in outcome.reason
    assert outcome.hung


def test_the_load_of_others_is_the_load_of_the_machine_without_ours():
    before, after = Reading(10.0, 100.0, 0.0, 5.0), Reading(10.5, 100.9, 0.1, 5.4)
    window = after.minus(before)
    assert window.others == pytest.approx(1.0)
    assert window.stolen == pytest.approx(0.2)
    assert window.wake_delay == 0.0


def test_the_work_of_child_processes_counts_as_ours():
    ours = OurProcesses(psutil.Process())
    before = Reading.now(ours)
    programs.run(("-c", "sum(range(3_000_000))"), Path(), {}, 60.0)
    assert Reading.now(ours).ours - before.ours >= 0.02


@pytest.fixture
def bench(course, tmp_path):
    """A bench on the solution of 02, which has a gateway."""
    course.write(course.state(course.step("bye"), "solution"), tmp_path / "workspace")
    bench = CheckBench(course, tmp_path / "workspace", tmp_path / "home", seed=3)
    yield bench
    bench.close()
    assert [pid for pid in started(bench) if psutil.pid_exists(pid)] == []


def started(bench: CheckBench) -> list[int]:
    return [member.pid for shop in bench._all for member in shop._members()]


def test_equal_arguments_get_the_same_running_shop(bench):
    shop = bench.shop()
    assert bench.shop() is shop
    assert shop.names() == ["gateway", "monolith-1"]
    other = bench.shop(scale={"monolith": 2})
    assert other.names() == ["gateway", "monolith-1", "monolith-2"]
    pids = {other.ask("GET", "/pid").text}
    # The gateway draws between two idle replicas. Eight draws are equal once in 128 runs, sixty never.
    for _ in range(60):
        pids.add(other.ask("GET", "/pid").text)
        if len(pids) == 2:
            break
    assert len(pids) == 2


def test_a_killed_process_is_dead_within_the_block_and_back_after_it(bench):
    shop = bench.shop()
    before = shop.ask("GET", "/pid").text
    with shop.killed("monolith"):
        assert shop.try_ask("GET", "/pid").status in {502, 503}
        assert not shop.is_ready()
    assert shop.is_ready()
    assert shop.ask("GET", "/pid").text != before
    with shop.killed("gateway"):
        answer = shop.try_ask("GET", "/")
        assert (answer.status, answer.text) == (0, "the connection was refused")
        with pytest.raises(NotYet, match="the connection was refused"):
            shop.ask("GET", "/")
    assert shop.ask("GET", "/").status == 200


def test_a_paused_process_takes_requests_and_answers_none(bench):
    shop = bench.shop()
    with shop.paused("monolith"):
        answer = shop.try_ask("GET", "/", timeout=0.3)
    assert (answer.status, answer.text) == (0, "nothing came within 0.3 s")
    assert shop.ask("GET", "/").status == 200


def test_tables_are_missing_within_the_block_and_back_after_it(bench):
    shop = bench.shop()
    skus = [item["sku"] for item in shop.ask("GET", "/api/products").json()["items"]]
    with shop.without_tables("monolith", "products"):
        assert shop.ask("GET", "/api/products").status == 500
    assert [item["sku"] for item in shop.ask("GET", "/api/products").json()["items"]] == skus


def test_both_shops_have_the_same_random_data(bench):
    mine, theirs = bench.same("GET", "/api/products", why="The data is the same.", look="the seed")
    assert mine.text == theirs.text
    assert bench.some_sku().startswith("P3")
    with pytest.raises(NotYet) as caught:
        bench.same("GET", "/hello/ada", why="They differ.", look="monolith/greeting.py")
    assert "what?" in caught.value.expected
    assert "hello ada" in caught.value.got


def test_a_copy_with_other_texts_is_another_shop(bench):
    folder = bench.copy({"monolith/greeting.py": 'def hello(name):\n    return "mutant"\n'})
    with bench.boot(folder) as shop:
        assert shop.ask("GET", "/hello/ada").text == "mutant"
        pids = [member.pid for member in shop._members()]
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
    assert bench.text("monolith/farewell.py") == made_up.BYE


def test_the_original_is_the_workspace_as_the_first_exercise_begins(bench, course):
    assert (bench.original() / "monolith/greeting.py").read_text() == made_up.text("monolith/greeting.py")


def test_a_program_that_takes_too_long_is_killed_with_all_processes_it_started(bench):
    ran = bench.python(
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import signal; signal.pause()'])",
        timeout=0.5,
    )
    assert ran.status == 124
    ran = bench.python("import monolith.farewell; print(monolith.farewell.bye('ada'))")
    assert (ran.status, ran.out) == (0, "bye ada\n")


def test_imports_are_found_everywhere_in_a_file(bench):
    (bench.workspace / "monolith/deep.py").write_text(
        "import os.path\nfrom . import greeting\nfrom .old import AGE\n\n\n"
        "def late():\n    from monolith.farewell import bye\n"
    )
    found = {each.module: each.line for each in bench.imports("monolith/deep.py")}
    assert found == {"os.path": 1, "monolith.greeting": 2, "monolith.old.AGE": 3, "monolith.farewell.bye": 7}
    assert set(found) <= {each.module for each in bench.imports("monolith")}


def test_code_that_is_not_python_is_not_yet(bench):
    (bench.workspace / "monolith/old.py").write_text("AGE =\n")
    with pytest.raises(NotYet) as caught:
        bench.imports("monolith")
    assert caught.value.look == "monolith/old.py, line 1"


def test_leftovers_of_a_killed_command_are_removed_by_the_next(course, tmp_path):
    home = tmp_path / "home"
    course.write(course.state(course.step("hello"), "solution"), tmp_path / "workspace")
    bench = CheckBench(course, tmp_path / "workspace", home, seed=1)
    pids = bench.shop().pids("monolith")
    for shop in bench._all:  # as after SIGKILL: the locks are released, the processes and files stay
        os.close(shop._backend.folder._lock)
        shop._backend.folder._lock = None
    bench.watcher.__exit__()
    assert all(psutil.pid_exists(pid) for pid in pids)
    assert sweep(home) >= 1
    for member in bench._all[0]._members():
        assert member.child.exit_status() is not None
    assert [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"] == []
    assert not (home / "shops").exists() or list((home / "shops").iterdir()) == []


def test_a_shop_without_a_gateway_can_be_killed_and_started_again(course, tmp_path):
    course.write(course.state(course.step("hello"), "solution"), tmp_path / "workspace")
    bench = CheckBench(course, tmp_path / "workspace", tmp_path / "home", seed=1)
    try:
        shop = bench.shop()
        assert isinstance(shop, RunningShop)
        assert shop.fleet is None
        with shop.killed("monolith"):
            assert shop.try_ask("GET", "/").status == 0
        assert shop.ask("GET", "/").status == 200
        shop.restart()
        assert shop.ask("GET", "/hello/ada").text == "hello ada"
    finally:
        bench.close()


def test_an_inconclusive_result_is_no_failure():
    assert not issubclass(Inconclusive, NotYet)
