"""What changes in the course after a learner has begun reaches the workspace, without touching the learner's work."""

from __future__ import annotations

import json

import pytest

from exercises.course.course import Course
from exercises.tests.learner import in_this_process
from exercises.tests.test_command import Ran
from exercises.workspaces import health
from exercises.workspaces.workspace import Workspace

MINE = "def hello(name):\n    return 'hello ' + name  # mine\n"
FIXED = 'STYLE = "fixed"\n'
READ_ONLY = [
    ("status",),
    ("list",),
    ("text",),
    ("hint",),
    ("diff",),
    ("diff", "step"),
    ("restore",),
    ("doctor",),
]


@pytest.fixture
def workspace(own_course, tmp_path):
    workspace = Workspace(tmp_path / "workspace", Course(own_course))
    workspace.create()
    return workspace


@pytest.fixture
def pull(own_course, workspace):
    """Changes files of the course, as a new version of it does; returns the workspace as the next command sees it."""

    def change(version: int = 1, **texts: str | None) -> Workspace:
        for name, text in texts.items():
            file = own_course.parent / "monolith" / f"{name}.py"
            file.unlink() if text is None else file.write_text(text)
        toml = own_course / "workshop.toml"
        toml.write_text(toml.read_text().replace("version = 1", f"version = {version}"))
        return Workspace(workspace.root, Course(own_course))

    return change


@pytest.fixture
def run(own_course, workspace):
    env = {"EXERCISES_COURSE": str(own_course), "EXERCISES_WORKSPACE": str(workspace.root)}
    return lambda *words: Ran(*in_this_process(words, env))


def test_nothing_has_changed_at_first(workspace):
    assert not workspace.changed_upstream()
    assert workspace.update().change.written == []


def test_a_fix_reaches_a_file_that_the_learner_did_not_change(pull, run):
    workspace = pull(style=FIXED)
    assert "The course has changed since your exercise began (1 files): exercises update" in run(
        "status"
    ).out.replace("\n", " ")
    assert [finding.what for finding in health.examine(workspace)] == ["state", "course", "snapshots"]
    ran = run("update")
    assert "  monolith/style.py\n" in ran.out
    assert (workspace.root / "monolith/style.py").read_text() == FIXED
    assert not workspace.changed_upstream()
    assert "you changed no file" in run("diff").out


def test_both_versions_are_shown_when_the_learner_changed_the_file_too(pull, run):
    workspace = pull(style=FIXED, new="NEW = 1\n")
    (workspace.root / "monolith/style.py").write_text("mine = 1\n")
    ran = run("update", "--json")
    assert json.loads(ran.out)["incoming"] == ["monolith/style.py"]
    assert (workspace.root / "monolith/style.py").read_text() == "mine = 1\n"
    assert (workspace.root / "monolith/style.py.incoming").read_text() == FIXED
    assert (workspace.root / "monolith/new.py").read_text() == "NEW = 1\n"


def test_a_removed_file_stays_when_the_learner_changed_it_and_goes_when_not(pull):
    workspace = pull(style=None, old=None)
    (workspace.root / "monolith/old.py").write_text("mine = 1\n")
    moved = workspace.update()
    assert (moved.kept, moved.change.removed) == (["monolith/old.py"], ["monolith/style.py"])


def test_a_file_that_the_learner_deleted_does_not_come_back(pull):
    workspace = pull(style=FIXED)
    (workspace.root / "monolith/style.py").unlink()
    workspace.update()
    assert not (workspace.root / "monolith/style.py").exists()
    assert workspace.incoming() == []


def test_the_next_exercise_brings_the_fix_too(pull):
    workspace = pull(style=FIXED, old="AGE = 2\n")
    (workspace.root / "monolith/old.py").write_text("mine = 1\n")
    moved = workspace.advance(anyway=True)
    assert moved.incoming == ["monolith/old.py"]
    assert (workspace.root / "monolith/style.py").read_text() == FIXED
    assert (workspace.root / "monolith/old.py").read_text() == "mine = 1\n"
    assert not workspace.changed_upstream()


def test_after_an_update_a_reset_goes_back_to_the_new_beginning(pull):
    workspace = pull(style=FIXED)
    (workspace.root / "monolith/greeting.py").write_text(MINE)
    before = workspace.update().change.copy.number
    assert (workspace.root / "monolith/greeting.py").read_text() == MINE
    workspace.reset()
    assert (workspace.root / "monolith/style.py").read_text() == FIXED
    assert (workspace.root / "monolith/greeting.py").read_text() != MINE
    workspace.restore(before)
    assert (workspace.root / "monolith/greeting.py").read_text() == MINE
    assert list(workspace.changed_upstream().wanted) == ["monolith/style.py"]


def test_a_solution_that_was_taken_is_updated_as_well(pull, own_course):
    first = pull()
    first.jump(first.course.step("hello"), "solution")
    file = own_course / "01-hello/solution/monolith/greeting.py"
    file.write_text(MINE)
    workspace = pull()
    assert workspace.update().change.written == ["monolith/greeting.py"]
    assert (workspace.root / "monolith/greeting.py").read_text() == MINE


@pytest.mark.parametrize("words", READ_ONLY, ids=" ".join)
def test_a_raised_version_locks_nothing_that_only_reads(pull, run, words):
    pull(version=2)
    ran = run(*words)
    assert (ran.status, ran.err) == (0, "")


def test_a_raised_version_is_said_and_an_update_settles_it(pull, run):
    workspace = pull(version=2)
    assert "(version 2 instead of 1): exercises update" in run("status").out.replace("\n", " ")
    assert run("update").status == 0
    assert workspace.state.version == 2
    assert "The course has changed" not in run("status").out


@pytest.mark.processes
def test_a_raised_version_is_checked_as_it_is(pull, run):
    workspace = pull(version=2)
    (workspace.root / "monolith/greeting.py").write_text(MINE)
    assert run("check").status == 0
    assert run("reset").status == 0


def test_a_workspace_from_before_references_were_stored_is_not_guessed_about(pull):
    workspace = pull(style=FIXED)
    state = workspace.state
    workspace.state_file.write(state.model_copy(update={"reference": ""}))
    assert not workspace.changed_upstream()
    workspace.update()
    assert workspace.state.reference
