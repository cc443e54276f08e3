"""The command as a learner uses it: its output, its exit statuses, and one sentence for every error."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from exercises.checks.checking import Check
from exercises.checks.results import Outcome, Verdict
from exercises.commands import run
from exercises.commands.output import Printer, echo_error, outcome_line
from exercises.tests import made_up
from exercises.tests.learner import in_this_process
from exercises.tests.test_manifests import change
from exercises.tests.test_workspace import MINE
from exercises.workspaces.last_check import FILE as LAST_CHECK
from exercises.workspaces.workspace import Workspace
from microservices.launcher.environment import FLEET_ID_VARIABLE
from microservices.sealing import UNSEALED

NARROW = 60
SLOW = "import time\n\n\ndef hello(name):\n    time.sleep(60)\n"
ESCAPES = re.compile(r"\x1b\[")
BOXES = re.compile("[─-╿]")


@dataclass
class Ran:
    status: int
    out: str
    err: str

    def json(self):
        return json.loads(self.out)


@pytest.fixture
def learner(course_folder, tmp_path, monkeypatch):
    """Runs the command in this process, in a folder of its own."""
    monkeypatch.setenv("EXERCISES_COURSE", str(course_folder))
    monkeypatch.setenv("EXERCISES_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("COLUMNS", str(NARROW))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, answer: str = "") -> Ran:
        return Ran(*in_this_process(arguments, {}, answer))

    return run


@pytest.fixture
def begun(workspace: Workspace, learner: Callable[..., Ran]) -> Callable[..., Ran]:
    """The same with a new workspace."""
    return learner


def is_plain(text: str) -> bool:
    return not ESCAPES.search(text) and not BOXES.search(text)


@pytest.mark.processes
def test_start_creates_a_workspace_and_checks_that_the_shop_runs(learner, tmp_path):
    ran = learner("start")
    assert ran.status == 0, ran.err
    assert "Your shop answers with 200" in ran.out
    assert (tmp_path / "workspace/monolith/greeting.py").exists()
    again = learner("start", "--json")
    assert again.json()["exercise"] == "01-hello"
    assert again.json()["status"] == 200


@pytest.mark.processes
@pytest.mark.parametrize("name", [".", "link"])
def test_start_works_in_the_folder_one_stands_in_and_through_a_link(learner, tmp_path, monkeypatch, name):
    (tmp_path / "there").mkdir()
    (tmp_path / "there/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    monkeypatch.setenv("EXERCISES_WORKSPACE", name)
    if name == ".":
        (tmp_path / "there/link").unlink()
    assert "Your shop answers with 200" in learner("start").out
    assert learner("check", "--only", "greet").status == 1
    findings = {finding["what"]: finding["verdict"] for finding in learner("doctor", "--json").json()}
    assert findings["seal"] != "wrong"


@pytest.mark.processes
def test_a_name_that_is_not_utf8_is_no_mistake_of_the_tool(begun, workspace):
    (workspace.root / os.fsdecode(b"caf\xe9.py")).write_text("")
    assert begun("check", "--only", "greet").status == 1
    assert "Not copied because its name is not UTF-8: caf\\xe9.py" in begun("save").out.replace("\n", " ")


def test_a_workspace_whose_own_name_is_not_utf8_is_refused_with_a_sentence(learner, tmp_path):
    ran = learner("start", "--workspace", os.fsdecode(bytes(tmp_path) + b"/caf\xe9"))
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "caf\\xe9 is not UTF-8; choose another folder with --workspace." in ran.err


def test_a_folder_that_lost_its_hidden_folder_is_adopted(begun, edit, workspace):
    edit("monolith/greeting.py", MINE)
    shutil.rmtree(workspace.data_dir)
    assert "exercises adopt N" in begun("start").err
    ran = begun("adopt", "2")
    assert "is a workspace at 02-bye. Your files are as they were." in ran.out.replace("\n", " ")
    assert begun("status", "--json").json()["exercise"] == "02-bye"
    assert begun("adopt", "2").status == 2


@pytest.mark.processes
def test_check_says_not_yet_in_words_that_need_no_colour_at_sixty_columns(begun, edit):
    edit("monolith/greeting.py", 'def hello(name):\n    return "hello"\n')
    ran = begun("check")
    assert ran.status == 1
    assert is_plain(ran.out)
    lines = ran.out.partition("The last lines of")[
        0
    ].splitlines()  # lines of the learner's log are not wrapped
    assert max(len(line) for line in lines if "curl" not in line) <= NARROW
    labels = ["I did:", "Expected:", "Got:", "Why:", "Look at:"]
    assert [
        line.split("  ")[1].strip() for line in lines if any(f"  {label}" in line for label in labels)
    ] == labels
    assert "curl -i http://127.0.0.1:8000/hello/guest" in ran.out
    assert "Result: not yet (2 pass, 1 not yet)" in ran.out


@pytest.mark.processes
def test_check_passes_and_next_goes_on(begun, edit, workspace):
    edit("monolith/greeting.py", MINE)
    assert begun("next").status == 1
    ran = begun("check", "--json")
    assert ran.status == 0, ran.out
    report = ran.json()
    assert (report["result"], report["passed"]) == ("pass", True)
    assert {check["check"]: check["result"] for check in report["checks"]}["greets"] == "pass"
    assert "It has passed. Next: exercises next" in begun("status").out
    ran = begun("next")
    assert ran.status == 0
    assert "monolith/greeting.py.incoming" in ran.out
    assert workspace.step.label == "02-bye"
    assert begun("status", "--json").json()["incoming"] == ["monolith/greeting.py.incoming"]


@pytest.mark.processes
def test_a_part_of_the_checks_does_not_count_as_a_pass(begun, edit, workspace):
    edit("monolith/greeting.py", MINE)
    assert begun("check", "--only", "greet").status == 0
    assert not workspace.has_passed()


@pytest.mark.processes
def test_one_task_keeps_the_results_of_the_others_and_asks_for_the_whole_check(begun, edit):
    edit("monolith/greeting.py", MINE)
    begun("check")
    edit("monolith/greeting.py", 'def hello(name):\n    return "hello"\n')
    assert begun("check", "--only", "1").status == 1
    assert [task["result"] for task in begun("status", "--json").json()["tasks"]] == ["not yet", "pass"]
    ran = begun("check", "--only", "tidy")
    assert "This task passes; run the whole check: exercises check" in ran.out.replace("\n", " ")
    assert [task["result"] for task in begun("status", "--json").json()["tasks"]] == ["not yet", "pass"]


def test_a_later_exercise_is_not_checked_before_it_is_reached(begun):
    ran = begun("check", "3")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "03-tidy comes later: you are at 01-hello" in ran.err
    assert "exercises jump 3" in ran.err


def test_a_task_is_named_by_the_number_that_status_shows(begun):
    assert "1. " in begun("status").out
    assert "tidy, hint 1 of 3" in begun("hint", "2").out
    assert begun("hint", "3").err == "There is no task '3' here; the tasks are greet, tidy.\n"


def test_hints_that_were_seen_can_be_shown_again(begun):
    assert "You have seen no hint for greet yet." in begun("hint", "--again").out
    begun("hint")
    assert "exercises hint greet --again" in begun("hint").out
    again = begun("hint", "1", "--again").out
    assert again.index("hint 1 of 3: Where to look") < again.index("hint 2 of 3: The idea")
    assert "hint 3 of 3" not in again
    assert begun("hint", "--json").json()["hint"] == 3


def test_restore_names_the_newer_files_that_it_removes(begun, edit, workspace):
    edit("notes.md", "mine")
    edit("monolith/new.py", "mine")
    ran = begun("restore", "1")
    assert "Removed:\n  monolith/new.py\n  notes.md\n" in ran.out
    begun("restore", re.search(r"exercises restore (\d+)", ran.out)[1])
    assert (workspace.root / "notes.md").read_text() == "mine"


def test_the_text_of_an_exercise_is_shown_as_plain_text(begun, own_course, monkeypatch):
    monkeypatch.setenv("EXERCISES_COURSE", str(own_course))
    (own_course / "01-hello/README.md").write_text(README)
    ran = begun("text")
    assert (ran.status, ran.out) == (0, SHOWN)
    assert begun("text", "2", "--json").json()["exercise"] == "02-bye"


README = """# Hello

<!-- from greeting.py -->
A [guest](https://example.com/a-very-long-address-that-nobody-reads) comes **in** and is greeted, as
in any shop.

```mermaid
flowchart LR
  guest([guest]) -- "comes in" --> shop[the shop]
```

- One says `hello` to each guest who comes in, also to the last
  one.

```sh
exercises check --only greet --seed 12345 --all --quick --alone
```
"""
SHOWN = """Hello

A guest comes in and is greeted, as in any shop.

    guest -> the shop: comes in

- One says `hello` to each guest who comes in, also to the
  last one.

    exercises check --only greet --seed 12345 --all --quick --alone
"""


@pytest.mark.parametrize(
    "words", [("status",), ("list",), ("hint",), ("--help",), ("check", "--help"), ("text",)]
)
def test_at_forty_columns_no_word_is_split(begun, monkeypatch, words):
    monkeypatch.setenv("COLUMNS", "40")
    too_long = [line for line in begun(*words).out.splitlines() if len(line) > 40 and " " in line.strip()]
    assert too_long == []


def test_a_long_word_is_put_below_its_label_at_forty_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    Printer().item("inconclusive", "It says (one-contract-two-adapters, 2 s).", width=14)
    assert capsys.readouterr().out == "inconclusive\n    It says (one-contract-two-adapters,\n    2 s).\n"


def test_an_error_is_wrapped_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    echo_error("There is no workspace here; exercises start makes one.")
    assert capsys.readouterr().err == "There is no workspace here; exercises\nstart makes one.\n"


def test_an_unknown_task_is_refused_with_the_names_of_the_known_ones(begun):
    ran = begun("check", "--only", "nothing")
    known = "greet (greets); tidy (no-print, short)"
    assert (ran.status, ran.err) == (
        2,
        f"01-hello has no task or check 'nothing'; its tasks and their checks are {known}.\n",
    )


def test_hints_come_one_at_a_time(begun):
    assert "greet, hint 1 of 3: Where to look" in begun("hint").out
    assert "greet, hint 2 of 3: The idea" in begun("hint", "greet").out
    assert "tidy, hint 1 of 3" in begun("hint", "tidy").out
    ran = begun("hint")
    assert "hint 3 of 3: Nearly the code" in ran.out
    assert "exercises solution" in ran.out
    assert begun("hint", "--json").json() == {
        "task": "greet",
        "hint": 3,
        "of": 3,
        "text": "```python\n# so\n```",
    }


def test_the_hint_is_for_the_first_task_that_is_not_done(begun, workspace):
    checks = [{"exercise": "hello", "check": "greets", "result": "pass"}]
    (workspace.data_dir / LAST_CHECK).write_text(json.dumps({"checks": checks}))
    assert begun("hint", "--json").json()["task"] == "tidy"
    (workspace.data_dir / LAST_CHECK).write_text("[")
    assert begun("hint", "--json").json()["task"] == "greet"


def test_diff_shows_what_the_learner_changed(begun, edit):
    assert "you changed no file" in begun("diff").out
    edit("monolith/greeting.py", MINE)
    edit("monolith/extra.py", "mine = 1\n")
    ran = begun("diff", "mine")
    assert "+    return 'hello ' + name  # mine" in ran.out
    assert "--- /dev/null\n+++ b/monolith/extra.py" in ran.out
    assert begun("diff", "--json").json()["changed"] == ["monolith/extra.py", "monolith/greeting.py"]


def test_diff_shows_what_the_exercise_added(begun):
    begun("jump", "2")
    ran = begun("diff", "step")
    assert "+++ b/monolith/farewell.py" in ran.out
    assert "+++ b/shared/tool.py" in ran.out


def test_the_solution_is_shown_after_one_question(begun):
    refused = begun("solution", answer="n\n")
    assert (refused.status, "hello" in refused.out.replace("01-hello", "")) == (130, False)
    shown = begun("solution", answer="y\n")
    assert shown.status == 0
    assert '+    return "hello " + name' in shown.out
    assert begun("solution", "monolith/greeting.py", "--yes").out == made_up.HELLO
    assert begun("solution", "monolith/nothing.py", "--yes").status == 2


def test_taking_the_solution_can_be_undone(begun, edit, workspace):
    edit("monolith/greeting.py", MINE)
    ran = begun("solution", "--take", "--yes")
    assert (workspace.root / "monolith/greeting.py").read_text() == made_up.HELLO
    number = re.search(r"exercises restore (\d+)", ran.out)[1]
    assert begun("restore", number).status == 0
    assert (workspace.root / "monolith/greeting.py").read_text() == MINE


def test_a_jump_says_how_to_get_everything_back(begun, edit, workspace):
    edit("monolith/greeting.py", MINE)
    ran = begun("jump", "tidy")
    number = re.search(r"exercises restore (\d+)", ran.out)[1]
    assert workspace.step.label == "03-tidy"
    begun("restore", number)
    assert workspace.step.label == "01-hello"
    assert (workspace.root / "monolith/greeting.py").read_text() == MINE


def test_a_reset_of_one_file_leaves_the_others(begun, edit, workspace):
    edit("monolith/greeting.py", MINE)
    edit("monolith/style.py", "mine")
    assert begun("reset", "monolith/greeting.py").status == 0
    assert (workspace.root / "monolith/style.py").read_text() == "mine"
    assert (workspace.root / "monolith/greeting.py").read_text() != MINE


def test_save_and_restore_list_the_copies(begun, edit):
    edit("monolith/greeting.py", MINE)
    assert "as snapshot 2: exercises restore 2" in begun("save", "before", "lunch").out
    rows = begun("restore", "--json").json()
    assert [(row["snapshot"], row["exercise"], row["why"]) for row in rows] == [
        (1, "hello", "begin 01-hello"),
        (2, "hello", "before lunch"),
    ]
    assert "hello: before lunch" in begun("restore").out


def test_list_marks_where_the_learner_is(begun):
    rows = begun("list", "--json").json()
    assert [(row["exercise"], row["current"]) for row in rows] == [
        ("01-hello", True),
        ("02-bye", False),
        ("03-tidy", False),
    ]
    assert "02-bye, 60 minutes." in begun("list").out


@pytest.mark.parametrize(
    "command", ["status", "check", "hint", "diff", "next", "save", "restore", "reset", "serve"]
)
def test_without_a_workspace_every_command_says_how_to_make_one(learner, tmp_path, command):
    ran = learner(command)
    assert ran.status == 2
    assert ran.err == (
        f"{tmp_path}/workspace is not there; `exercises start` makes one, --workspace names another folder.\n"
    )


def test_an_edited_state_file_is_one_sentence_and_is_repaired(begun, workspace):
    workspace.state_file.path.write_text("{")
    ran = begun("status")
    assert ran.status == 2
    assert ran.err.count("\n") == 1
    assert "exercises doctor --repair" in ran.err
    assert begun("doctor", "--repair").status == 0
    assert begun("status").status == 0


def test_an_unknown_exercise_is_one_sentence(begun):
    ran = begun("jump", "17")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "there are 01-hello to 03-tidy" in ran.err


def test_a_full_disk_is_one_sentence(begun, edit, monkeypatch):
    edit("monolith/greeting.py", MINE)

    def fsync(_descriptor: int) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(os, "fsync", fsync)
    ran = begun("jump", "2")
    assert ran.status == 2
    assert ran.err == (
        "The disk is full (somewhere). Free some space and run this again; nothing of yours is lost.\n"
    )


def test_a_folder_that_may_not_be_written_is_one_sentence(learner, monkeypatch):
    def mkdir(*_arguments, **_options):
        raise PermissionError(13, "Permission denied", "/elsewhere")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    ran = learner("start")
    assert ran.status == 2
    assert (
        "may not be written (/elsewhere): Permission denied. Choose another place with --workspace."
        in ran.err
    )


def test_a_mistake_of_the_tool_is_one_sentence_with_a_file(begun, monkeypatch):
    monkeypatch.setattr(Workspace, "save", lambda *_: 1 / 0)
    ran = begun("save")
    assert ran.status == 2
    assert ran.err.startswith(
        "This is a mistake of the tool, not yours: ZeroDivisionError: division by zero."
    )
    assert "ZeroDivisionError" in Path(ran.err.split()[-1]).read_text()
    Path(ran.err.split()[-1]).unlink()


@pytest.mark.parametrize("arguments", [("check", "--nothing"), ("diff", "yours"), ("nothing",)])
def test_a_wrong_argument_is_refused_with_a_way_to_help(begun, arguments):
    ran = begun(*arguments)
    assert ran.status == 2
    assert "Try 'exercises" in ran.err


def test_another_python_is_refused_with_a_sentence():
    old = "import sys\nsys.version_info = (3, 10, 0)\nimport exercises"
    done = subprocess.run([sys.executable, "-c", old], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("The exercises need Python 3.11 or newer and this is 3.")


def test_a_python_without_the_packages_is_refused_with_a_sentence(tmp_path):
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError(name='click')")
    done = subprocess.run(
        [sys.executable, "-m", "exercises", "status"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("The package click is not installed for")


def test_doctor_looks_at_everything(begun, edit):
    edit("monolith/greeting.py.incoming", "ours")
    findings = {finding["what"]: finding for finding in begun("doctor", "--json").json()}
    assert set(findings) >= {
        "python",
        "gateway",
        "ports",
        "disk",
        "memory",
        "load",
        "leftovers",
        "state",
        "snapshots",
    }
    assert findings["state"]["says"] == "at 01-hello"
    assert findings["seal"]["verdict"] in {
        "ok",
        "warning",
    }  # a warning where the environment was made otherwise
    assert findings["incoming"]["verdict"] == "warning"


def test_doctor_says_when_the_course_can_be_seen_from_the_workspace(begun, monkeypatch):
    monkeypatch.setattr("microservices.sealing.in_workspace", lambda env, _folder: {**env, UNSEALED: "1"})
    ran = begun("doctor", "--json")
    (seal,) = [finding for finding in ran.json() if finding["what"] == "seal"]
    assert (ran.status, seal["verdict"]) == (1, "wrong")
    assert "exercises in " in seal["says"]


# ---- in a process of its own


@pytest.fixture
def started(course_folder, workspace, monkeypatch):
    """Starts the command as a process, and kills it at the end when it still runs."""
    running = []

    def start(*arguments: str, course: Path = course_folder) -> subprocess.Popen[str]:
        settings = {"EXERCISES_COURSE": str(course), "EXERCISES_WORKSPACE": str(workspace.root)}
        process = subprocess.Popen(
            [sys.executable, "-m", "exercises", *arguments],
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    seen = ""
    deadline = time.monotonic() + 60
    assert process.stdout
    assert process.stderr
    while words not in seen:
        assert time.monotonic() < deadline, seen
        line = process.stdout.readline()
        assert line or process.poll() is None, seen + process.stderr.read()
        seen += line
    return seen


def shops_of(root: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            env = process.environ()
            if (
                FLEET_ID_VARIABLE in env
                and env.get("SHOP_HOME", "").startswith(str(root))
                and process.status() != "zombie"
            ):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_served_shop_is_closed_by_one_signal_and_leaves_nothing(started, workspace, free_port, number):
    process = started("serve", "--port", str(free_port))
    assert f"http://127.0.0.1:{free_port}" in read_until(process, "Ctrl-C closes it")
    assert shops_of(workspace.root) != []
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "Your shop is closed." in out
    assert shops_of(workspace.root) == []


class Served:
    """A shop that is served, with one service."""

    fleet = SimpleNamespace(topology=SimpleNamespace(services=[SimpleNamespace(name="monolith")]))

    def environment(self, service: str) -> dict[str, str]:
        return {"SHOP_SERVICE": service, "PATH": os.environ["PATH"]}


@pytest.fixture
def environments(workspace):
    file = workspace.data_dir / "serve/shops/1" / run.ENVIRONMENTS
    file.parent.mkdir(parents=True)
    return file


def test_a_program_runs_beside_the_served_shop_as_one_of_its_services(started, workspace, environments):
    run.write_environments(Served(), environments)
    code = "import os; print(os.environ['SHOP_SERVICE'], os.getcwd()); raise SystemExit(7)"
    process = started("run", "monolith", "-c", code)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (7, f"monolith {workspace.root}\n", "")


def test_only_its_owner_can_read_the_keys_of_a_served_shop(environments):
    run.write_environments(Served(), environments)
    assert environments.stat().st_mode & 0o777 == 0o600


def test_without_a_served_shop_nothing_can_run_beside_it(begun):
    ran = begun("run", "monolith", "-m", "monolith.cli", "routes")
    assert ran.status == 2
    assert ran.err == "Your shop is not being served; start exercises serve in another terminal first.\n"


def test_a_program_can_only_run_as_a_service_that_the_shop_has(begun, environments):
    run.write_environments(Served(), environments)
    ran = begun("run", "inventory", "-c", "")
    assert ran.status == 2
    assert ran.err == "Your shop has no service inventory; its services are monolith.\n"


@pytest.mark.processes
def test_ctrl_c_in_the_middle_of_a_check_leaves_no_process(started, workspace):
    (workspace.root / "monolith/greeting.py").write_text(SLOW)
    process = started("check")
    deadline = time.monotonic() + 60
    while not shops_of(workspace.root):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "\nStopped.\n")
    assert shops_of(workspace.root) == []


ENDLESS = '''
@check("endless", task="tidy", seconds=600)
def _(bench: Bench) -> None:
    """It waits for ever."""
    import threading
    from concurrent.futures import ThreadPoolExecutor

    bench.shop()
    with ThreadPoolExecutor() as pool:
        for _ in range(3):  # a single one Python would forget, because the signal interrupts its join
            pool.submit(threading.Event().wait)
        (bench.workspace / "asking").touch()
'''


@pytest.mark.processes
def test_ctrl_c_ends_a_check_whose_threads_go_on_and_a_shop_that_will_not_end(started, workspace, own_course):
    with (own_course / "01-hello/check.py").open("a") as file:
        file.write(ENDLESS)
    change(own_course, "01-hello/exercise.toml", '"short"]', '"short", "endless"]')
    stays = "import signal\n\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    (workspace.root / "monolith/greeting.py").write_text(stays + MINE)
    process = started("check", "--only", "endless", course=own_course)
    deadline = time.monotonic() + 60
    while not (workspace.root / "asking").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "\nStopped.\n")
    assert shops_of(workspace.root) == []


@pytest.mark.processes
def test_processes_of_a_killed_check_are_ended_by_the_next_command(started, workspace, begun):
    (workspace.root / "monolith/greeting.py").write_text(SLOW)
    process = started("check")
    deadline = time.monotonic() + 60
    while not shops_of(workspace.root):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    findings = {finding["what"]: finding["says"] for finding in begun("doctor", "--json").json()}
    assert "of a killed command ended" in findings["leftovers"]
    assert shops_of(workspace.root) == []


@pytest.mark.processes
def test_watch_checks_again_when_a_file_is_saved(started, workspace):
    process = started("watch")
    assert "not yet" in read_until(process, "Waiting for you")
    (workspace.root / "monolith/greeting.py").write_text(MINE)
    seen = read_until(process, "Waiting for you")
    assert "Changed: monolith/greeting.py" in seen
    assert "Result: pass" in seen
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert shops_of(workspace.root) == []


@pytest.mark.parametrize(
    ("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_is_only_for_terminals_that_want_it_and_carries_no_meaning_alone(
    monkeypatch, capsys, env, coloured
):
    for name, value in {"TERM": "xterm", "FORCE_COLOR": "1", **env}.items():
        monkeypatch.setenv(name, value)
    check = Check("greets", "greet", "It greets.", lambda _: None)
    for verdict in Verdict:
        outcome_line(Printer(), Outcome("hello", check, verdict, 1.0))
    text = capsys.readouterr().out
    assert bool(re.search(r"\x1b\[[0-9;]*3\dm", text)) == coloured
    words = [line.split("  ")[0].strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()]
    assert words == [verdict.value for verdict in Verdict]
