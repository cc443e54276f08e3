"""The page without a browser: what it shows, which commands its buttons are, and whom it lets in."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from werkzeug.test import Client, TestResponse

from exercises import files
from exercises.page.app import create_app
from exercises.page.desk import Desk
from exercises.page.guard import MAX_BODY_BYTES, Guard
from exercises.page.programs import Done
from exercises.tests import made_up
from exercises.tests.learner import in_this_process
from exercises.workspaces import last_check
from exercises.workspaces.progress import Recorder
from exercises.workspaces.workspace import Workspace

PORT, TOKEN = 4711, "a-token"
HOST = f"127.0.0.1:{PORT}"
SECONDS = 60.0
EVIL = "<script>alert('x')</script>"
FULL_DISK = Path("/dev/full")
"""Takes no byte, as a full disk."""


@dataclass
class Page:
    """Asks the page as a browser window does that has its address."""

    client: Client
    desk: Desk

    def get(self, path: str = "/", **headers: str) -> TestResponse:
        return self.client.get(f"/{TOKEN}{path}", headers={"Host": HOST, **headers})

    def post(self, path: str, headers: dict[str, str] | None = None, **fields: str) -> TestResponse:
        sent = {"Host": HOST, "Origin": f"http://{HOST}", **(headers or {})}
        return self.client.post(f"/{TOKEN}{path}", data=fields, headers=sent)

    def text(self, path: str = "/") -> str:
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def wait_until_checked(self) -> None:
        deadline = time.monotonic() + SECONDS
        while self.desk.now()["running"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def page(workspace: Workspace, course_folder: Path) -> Iterator[Page]:
    desk = Desk(workspace.root, course_folder)
    yield Page(Client(Guard(create_app(desk).wsgi_app, PORT, TOKEN)), desk)
    desk.close()


def store(workspace: Workspace, *checks: dict[str, object]) -> None:
    last_check.store(workspace, {"checks": list(checks)}, keep=False)


def outcome(check: str, result: str, **more: object) -> dict[str, object]:
    return {"exercise": "hello", "check": check, "says": f"It says {check}.", "result": result, **more}


FAILURE = {
    "did": "asked the shop: curl -i http://127.0.0.1:8000/hello/x -H 'Authorization: Bearer $TOKEN'",
    "expected": "hello x",
    "got": EVIL,
    "why": "A guest leaves.",
    "look": "monolith/greeting.py",
}


class TestWhatIsShown:
    def test_the_page_has_the_text_and_the_tasks_of_the_current_exercise(self, page):
        shown = page.text()
        assert "Say hello" in shown
        assert '<h3 id="read-1-greet"' in shown
        assert "Your shop greets every guest by name." in shown

    def test_an_answer_needs_no_script_and_no_style_inside(self, page):
        assert not re.search(r"<style|style=|<script(?! type=\"module\" src| src)|\son\w+=", page.text())

    def test_a_failure_has_its_five_parts_and_the_request_to_copy(self, page, workspace):
        store(workspace, outcome("greets", "not yet", failure=FAILURE, log=[": one line"]))
        shown = page.text("/panel/tasks")
        for label in ("I did", "Expected", "Got", "Why", "Look at"):
            assert f"<dt>{label}</dt>" in shown
        assert "TOKEN=$(curl" in re.sub(r"</?span[^>]*>", "", shown)
        assert "one line" in shown

    def test_what_a_learner_or_a_shop_wrote_is_never_a_part_of_the_page(self, page, workspace, edit):
        store(workspace, outcome("greets", "not yet", failure=FAILURE, log=[f": {EVIL}"]))
        edit("monolith/greeting.py", f"{EVIL}\n")
        edit(f"monolith/{EVIL.replace('/', '')}.py", "x = 1\n")
        for panel in ("tasks", "differences", "differences?what=solution&yes=1", "hints"):
            assert "<script" not in page.text(f"/panel/{panel}")
        assert "&lt;script&gt;" in re.sub(r"</?span[^>]*>", "", page.text("/panel/differences"))

    def test_each_result_has_its_word_and_inconclusive_is_not_a_failure(self, page, workspace):
        store(
            workspace,
            outcome("greets", "pass"),
            outcome("no-print", "inconclusive", reason="the machine was busy"),
            outcome("short", "tool error", reason="a mistake of the course"),
        )
        shown = page.text("/panel/tasks")
        for result in ("pass", "inconclusive", "tool error"):
            assert f'data-state="{result}"' in shown
            assert f'<span class="unseen">{result}: </span>' in shown
        assert "the machine was busy" in shown

    def test_a_check_that_runs_in_a_terminal_is_followed(self, page, workspace):
        recorder = Recorder(workspace.data_dir, "hello", (), 3)
        recorder.starting("Your shop greets every guest by name.")
        shown = page.text("/panel/tasks")
        assert "in a terminal" in shown
        assert 'value="0"' in shown
        recorder.outcome(outcome("greets", "pass", seconds=0.1))
        recorder.starting("Your greeting prints nothing.")
        assert page.get("/state").json["running"]
        shown = page.text("/panel/tasks")
        assert 'value="1"' in shown
        recorder.end("pass")
        assert not page.get("/state").json["running"]

    def test_the_state_changes_with_a_saved_file_and_only_then(self, page, edit):
        before = page.get("/state").json
        assert page.get("/state").json == before
        edit("monolith/greeting.py", "# new\n")
        assert page.get("/state").json["version"] != before["version"]

    def test_a_task_says_which_files_changed_since_the_check(self, page, workspace, edit):
        store(workspace, outcome("greets", "pass"))
        edit("monolith/greeting.py", "# new\n")
        assert "changed since: monolith/greeting.py" in page.text("/panel/tasks")

    def test_a_failed_check_of_an_earlier_exercise_is_shown_apart(self, page, workspace):
        store(workspace, {**outcome("old", "not yet"), "exercise": "before"})
        assert "Earlier exercises: 1 check does not hold" in page.text("/panel/tasks")


class TestDifferences:
    def test_mine_are_against_the_beginning_of_the_step(self, page, edit):
        assert "Nothing differs." in page.text("/panel/differences")
        edit("monolith/greeting.py", made_up.HELLO)
        shown = page.text("/panel/differences")
        assert "monolith/greeting.py" in shown
        assert 'class="minus"' in shown

    def test_the_solution_is_behind_one_question(self, page, edit):
        asked = page.text("/panel/differences?what=solution")
        assert "Show the solution of 01-hello?" in asked
        assert 'class="diff"' not in asked
        assert 'class="diff"' in page.text("/panel/differences?what=solution&yes=1")
        edit("monolith/greeting.py", made_up.HELLO)
        assert "Nothing differs." in page.text("/panel/differences?what=solution&yes=1")

    def test_what_the_next_step_brings_is_shown_before_it_comes(self, page):
        assert "topology.py" in page.text("/panel/differences?what=next")

    def test_another_comparison_is_refused_with_a_sentence(self, page):
        answer = page.get("/panel/differences?what=everything")
        assert answer.status_code == 409
        assert "there are mine, step, next, solution" in answer.text


@pytest.mark.processes
class TestButtons:
    def test_a_hint_is_one_rung_and_the_terminal_knows_it(self, page, workspace):
        assert page.post("/hint", task="tidy").status_code == 303
        assert workspace.state.hints == {"hello/tidy": 1}
        shown = page.text("/panel/hints")
        assert "There." in shown
        assert "This." not in shown
        assert "1 of 3 seen" in shown

    def test_a_check_is_the_command_and_its_result_is_stored(self, page, workspace, edit):
        edit("monolith/greeting.py", made_up.HELLO)
        page.post("/check", task="tidy")
        page.wait_until_checked()
        assert last_check.last_check(workspace, workspace.step) == {"no-print": "pass", "short": "pass"}
        page.post("/check")
        page.wait_until_checked()
        assert workspace.has_passed()
        assert "Say hello has passed." in page.text("/panel/tasks")

    def test_while_another_command_runs_a_check_is_told_so_and_nothing_is_lost(self, page, workspace):
        store(workspace, outcome("greets", "pass"))
        with workspace.locked("check", lambda _: None):
            page.post("/check")
            page.wait_until_checked()
        assert "Another exercises check is running" in page.text("/panel/notice")
        assert last_check.last_check(workspace, workspace.step) == {"greets": "pass"}
        page.post("/dismiss")
        assert "Another" not in page.text("/panel/notice")

    def test_next_says_what_the_command_says(self, page, workspace):
        page.post("/next")
        assert "01-hello has not passed yet" in page.text("/panel/notice")
        workspace.note_pass()
        page.post("/next")
        assert workspace.step.id == "bye"
        assert "Your old files are snapshot" in page.text("/panel/notice")

    def test_a_check_is_stopped_as_by_ctrl_c(self, page, workspace, edit):
        edit("monolith/greeting.py", "import time\n\n\ndef hello(name):\n    time.sleep(60)\n")
        page.post("/check", task="greet")
        deadline = time.monotonic() + SECONDS
        while not (now := page.desk.progress()) or not now.running:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        page.post("/stop")
        page.wait_until_checked()
        assert "Stopped." in page.text("/panel/notice")
        assert last_check.results(workspace) == []

    def test_while_a_check_of_the_page_runs_a_terminal_is_told_so(
        self, page, workspace, course_folder, edit, tmp_path
    ):
        go = tmp_path / "go"
        waiting = f"    while not pathlib.Path({str(go)!r}).exists():\n        time.sleep(0.02)\n"
        edit(
            "monolith/greeting.py",
            f"import pathlib\nimport time\n\n\ndef hello(name):\n{waiting}    return name\n",
        )
        page.post("/check", task="greet")
        deadline = time.monotonic() + SECONDS
        while not (now := page.desk.progress()) or not now.running:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        settings = {"EXERCISES_WORKSPACE": str(workspace.root), "EXERCISES_COURSE": str(course_folder)}
        status, _, err = in_this_process(("check",), settings)
        go.touch()
        assert status == 2
        assert "Another exercises check is running" in err
        page.wait_until_checked()
        assert last_check.last_check(workspace, workspace.step) == {"greets": "not yet"}

    @pytest.mark.skipif(not FULL_DISK.exists(), reason="this system has no /dev/full")
    def test_a_full_disk_is_said_and_nothing_is_lost(self, page, workspace):
        before = workspace.state
        draft = workspace.data_dir / ".state.json.draft"
        draft.symlink_to(FULL_DISK)
        page.post("/hint", task="tidy")
        assert "The disk is full" in page.text("/panel/notice")
        assert workspace.state == before
        page.post("/hint", task="tidy")
        assert "The disk is full" not in page.text("/panel/notice")
        assert workspace.state.hints == {"hello/tidy": 1}

    def test_a_task_that_is_not_there_is_refused_and_nothing_runs(self, page):
        answer = page.post("/check", task="--everything")
        assert answer.status_code == 409
        assert not page.desk.programs.is_running("check")


class TestWhoIsLetIn:
    def test_without_the_token_there_is_nothing(self, page):
        for path in ("/", "/state", "/wrong/", f"/{TOKEN}x/", "/static/page.js"):
            answer = page.client.get(path, headers={"Host": HOST})
            assert answer.status_code == 404
            assert "the whole address" in answer.text

    @pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1", ""])
    def test_another_host_is_refused_so_that_no_name_can_be_pointed_here(self, page, host):
        assert page.get(Host=host).status_code == 403

    @pytest.mark.parametrize(
        "origin", [None, "null", "http://evil.example", "http://127.0.0.1:1", f"https://{HOST}"]
    )
    def test_a_button_that_another_page_presses_does_nothing(self, page, workspace, origin):
        headers = {"Host": HOST, **({"Origin": origin} if origin else {})}
        for path in ("/check", "/hint", "/next", "/stop", "/dismiss"):
            answer = page.client.post(f"/{TOKEN}{path}", data={"task": "greet"}, headers=headers)
            assert answer.status_code == 403
        assert workspace.state.hints == {}
        assert not page.desk.programs.is_running("check")

    def test_every_answer_forbids_foreign_scripts_frames_and_readers(self, page):
        wrong = page.client.get("/", headers={"Host": HOST})
        for answer in (page.get(), page.get("/state"), page.get("/static/page.js"), page.get("/no"), wrong):
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "same-origin"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
            answer.close()

    def test_nothing_of_the_learners_is_kept_by_the_browser(self, page):
        for path in ("/", "/state", "/panel/tasks"):
            assert page.get(path).headers["Cache-Control"] == "no-store"

    def test_a_request_has_a_limit(self, page):
        assert page.post("/hint", task="x" * MAX_BODY_BYTES).status_code == 413
        answer = page.client.post(
            f"/{TOKEN}/hint",
            headers={"Host": HOST, "Origin": f"http://{HOST}", "Transfer-Encoding": "chunked"},
        )
        assert answer.status_code == 411

    def test_only_reading_and_pressing_are_possible(self, page):
        for method in ("PUT", "DELETE", "OPTIONS", "PATCH"):
            answer = page.client.open(f"/{TOKEN}/", method=method, headers={"Host": HOST})
            assert answer.status_code == 405


class TestResults:
    def run(self, root: Path, name: str, *, report: str | None) -> None:
        folder = root / "runs" / name
        folder.mkdir(parents=True)
        notes = {"started": "2026-01-02T03:04:05Z", "experiments": ["tax"], "seconds": 90}
        (folder / "run.json").write_text(json.dumps(notes))
        if report is not None:
            (folder / "report.html").write_text(report)

    def test_the_runs_of_the_lab_are_listed_and_a_report_may_run_no_script(self, page, workspace):
        assert "No run of the lab yet" in page.text("/panel/results")
        self.run(workspace.root, "one", report="<p>the ledger</p>")
        self.run(workspace.root.parent, "two", report=None)
        shown = page.text("/panel/results")
        assert "2026-01-02 03:04:05" in shown
        assert "1.5" in shown
        answer = page.get("/runs/one/report")
        assert answer.text == "<p>the ledger</p>"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
        assert page.get("/runs/two/report").status_code == 409

    def test_two_reports_beside_each_other_are_framed_by_this_page_only(self, page, workspace):
        self.run(workspace.root, "one", report="<p>1</p>")
        self.run(workspace.root, "two", report=None)
        assert page.get("/runs/beside?before=one&after=two").status_code == 409
        self.run(workspace.root.parent, "three", report="<p>3</p>")
        answer = page.get("/runs/beside?before=one&after=three")
        assert re.findall(r'iframe src="/a-token/runs/(\w+)/report"', answer.text) == ["one", "three"]
        assert "frame-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'self'" in page.get("/runs/one/report").headers["Content-Security-Policy"]

    def test_two_runs_are_compared_by_the_command(self, page, workspace, monkeypatch):
        asked = []

        def run(*words: str, program: str) -> Done:
            asked.append((program, *words))
            return Done(words, 0, f"# Before: one. After: two.\n\n| what |\n|---|\n| {EVIL} |\n", "")

        monkeypatch.setattr(page.desk.programs, "run", run)
        self.run(workspace.root, "one", report=None)
        assert "side by side" not in page.text("/panel/results")
        self.run(workspace.root.parent, "two", report=None)
        assert page.post("/compare", before="one", after="two").status_code == 303
        folders = [str(workspace.root / "runs/one"), str(workspace.root.parent / "runs/two")]
        assert asked == [("loadtests", "compare", *folders, "--markdown")]
        shown = page.text("/panel/results")
        assert "Before: one. After: two." in shown
        assert "<script" not in shown

    @pytest.mark.parametrize("name", ["no", "..", "--help", ""])
    def test_a_run_that_is_not_there_is_not_compared(self, page, workspace, name):
        self.run(workspace.root, "one", report=None)
        answer = page.post("/compare", before="one", after=name)
        assert answer.status_code == 409
        assert "loadtests run makes one" in answer.text

    @pytest.mark.processes
    def test_what_the_lab_cannot_compare_is_said(self, page, workspace):
        for name in ("one", "two"):
            self.run(workspace.root, name, report=None)
        page.post("/compare", before="one", after="two")
        shown = page.text("/panel/notice")
        assert "loadtests compare" in shown
        assert "holds no run" in shown

    @pytest.mark.parametrize("name", ["..", ".", "%2e%2e", "..%2f.exercises", ".exercises", "no"])
    def test_no_other_file_is_a_report(self, page, workspace, name):
        (workspace.root / "report.html").write_text("mine")
        assert page.get(f"/runs/{name}/report").status_code in {404, 409}

    def test_a_broken_run_is_listed_with_what_can_be_read(self, page, workspace):
        self.run(workspace.root, "odd", report="x")
        files.write(workspace.root / "runs/odd/run.json", b"[1]")
        assert "odd" in page.text("/panel/results")


@pytest.mark.parametrize("panel", ["head", "notice", "text", "tasks", "differences", "hints", "results"])
def test_every_panel_of_every_exercise_can_be_shown(page, workspace, panel):
    for step in workspace.course.steps:
        workspace.jump(step)
        if panel == "hints" and not step.file("hints.md").exists():
            continue
        page.text(f"/panel/{panel}")


def test_a_workspace_that_is_gone_is_told_with_a_sentence(page, workspace: Workspace, tmp_path: Path):
    workspace.root.rename(tmp_path / "moved")
    answer = page.get()
    assert answer.status_code == 409
    assert "exercises start" in answer.text
