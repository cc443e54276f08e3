"""The tool is killed with SIGKILL before each of its writes in turn; everything the learner had can be restored."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exercises import files
from exercises.tests.test_workspace import MINE, contents
from exercises.workspaces.workspace import Workspace

DRIVER = Path(__file__).with_name("power_cut.py")
TIMEOUT = 120


def cut(course_folder: Path, folder: Path, command: str) -> int:
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(course_folder), str(folder), command],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout)


@pytest.fixture(autouse=True)
def without_waiting_for_the_disk(monkeypatch):
    """Not needed here: a killed process loses nothing that it has passed to the system."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.mark.parametrize(
    ("command", "ends_at"),
    [
        ("next", "02-bye"),
        pytest.param("jump", "03-tidy", marks=pytest.mark.course),
        pytest.param("reset", "02-bye", marks=pytest.mark.course),
        pytest.param("restore", "01-hello", marks=pytest.mark.course),
    ],
)
def test_a_power_cut_at_any_write_loses_nothing(course_folder, course, tmp_path, command, ends_at):
    learner = Workspace(tmp_path / "workspace", course)
    learner.create()
    if command in {"reset", "restore"}:
        learner.advance(anyway=True)
    (learner.root / "monolith/greeting.py").write_text(MINE)
    (learner.root / "monolith/extra.py").write_text("mine = 1\n")
    (learner.root / "monolith/cli.py").unlink()
    mine, began_at = contents(learner), learner.step.label

    copies = cut(course_folder, tmp_path, command)

    assert copies > 5
    outcomes = set()
    for number in range(copies):
        workspace = Workspace(tmp_path / str(number), course)
        with workspace.locked("status", lambda _: None):
            pass  # every command does this first
        now = workspace.step.label
        assert now in {began_at, ends_at}
        outcomes.add(contents(workspace) == mine)
        if contents(workspace) != mine:
            assert now == ends_at
            copy = next(s for s in workspace.store.all() if s.why.startswith("before"))
            workspace.restore(copy.number)
            assert contents(workspace) == mine
            assert workspace.step.label == began_at
        assert list(workspace.root.glob(f"[!.]*/**/*{files.DRAFT}")) == []
    assert outcomes == {True, False}


def test_a_power_cut_during_start_leaves_no_unfinished_workspace(course_folder, course, tmp_path):
    copies = cut(course_folder, tmp_path, "begin")
    assert copies > 5
    for number in range(copies):
        workspace = Workspace(tmp_path / str(number) / "inner", course)
        if not workspace.data_dir.exists():
            assert not workspace.root.exists()
            workspace.create()
        assert workspace.step.label == "01-hello"
        assert contents(workspace).keys() == course.state(course.step("hello"), "start").keys()
        assert [path.name for path in workspace.root.parent.iterdir()] == ["inner"]


def test_what_a_learner_edits_after_a_power_cut_is_kept_too(course_folder, course, tmp_path):
    learner = Workspace(tmp_path / "workspace", course)
    learner.create()
    copies = cut(course_folder, tmp_path, "next")
    kept = 0
    for number in range(copies):
        workspace = Workspace(tmp_path / str(number), course)
        (workspace.root / "monolith/greeting.py").write_text(MINE)
        said: list[str] = []
        with workspace.locked("status", said.append):
            pass
        if said:
            assert "Finished an interrupted change: next to 02-bye" in said[0]
        if contents(workspace)["monolith/greeting.py"] != MINE.encode():
            restored = int(said[0].rpartition(" ")[2])
            workspace.restore(restored, "monolith/greeting.py")
            kept += 1
        assert contents(workspace)["monolith/greeting.py"] == MINE.encode()
    assert kept > 0
