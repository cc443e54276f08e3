"""A learner's files are kept, copied before they are overwritten, and can be restored."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from exercises import files
from exercises.errors import ExerciseError
from exercises.tests import made_up
from exercises.workspaces import health
from exercises.workspaces.snapshots import NoSuchSnapshot
from exercises.workspaces.state import BrokenState
from exercises.workspaces.workspace import NotPassed, NoWorkspace, Workspace

MINE = "def hello(name):\n    return 'hello ' + name  # mine\n"


def contents(workspace: Workspace) -> dict[str, bytes]:
    return {relpath: (workspace.root / relpath).read_bytes() for relpath in files.list_files(workspace.root)}


def expected(workspace: Workspace, name: str, which: str) -> dict[str, bytes]:
    tree = workspace.course.state(workspace.course.step(name), which)
    return {relpath: path.read_bytes() for relpath, path in tree.items()}


def test_a_workspace_begins_with_the_first_exercise(workspace):
    assert contents(workspace) == expected(workspace, "hello", "start")
    assert workspace.step.label == "01-hello"
    assert [path.name for path in workspace.root.parent.iterdir()] == ["workspace"]


def test_a_folder_with_something_else_in_it_is_left_alone(course, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ExerciseError, match="exists and is no workspace"):
        Workspace(tmp_path, course).create()
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("kind", ["empty", "linked"])
def test_an_empty_folder_can_become_a_workspace_and_stays_the_same_folder(
    course, tmp_path, monkeypatch, kind
):
    folder = tmp_path / "there"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    before = folder.stat().st_ino
    monkeypatch.chdir(folder)
    workspace = Workspace(Path() if kind == "empty" else tmp_path / "link", course)
    workspace.create()
    assert folder.stat().st_ino == before
    assert contents(workspace) == expected(workspace, "hello", "start")
    assert [path.name for path in folder.glob(".*")] == [".exercises"]


def test_a_link_to_nowhere_is_refused(course, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(ExerciseError, match="a link to a folder that is not there"):
        Workspace(tmp_path / "link", course).create()


def test_a_start_that_was_killed_while_it_filled_a_folder_can_be_repeated(course, tmp_path):
    workspace = Workspace(tmp_path, course)
    course.write(course.state(course.step("hello"), "start"), tmp_path)
    (tmp_path / "monolith/old.py").unlink()
    workspace.create()
    assert contents(workspace) == expected(workspace, "hello", "start")


def test_a_file_whose_name_is_not_utf8_is_left_alone_and_named(workspace):
    name = os.fsdecode(b"caf\xe9.txt")
    (workspace.root / name).write_text("mine")
    workspace.jump(workspace.course.step("tidy"))
    assert name not in workspace.save("mine").files
    assert (workspace.root / name).read_text() == "mine"
    assert files.unreadable_names(workspace.root) == ["caf\\xe9.txt"]
    assert [finding.what for finding in health.examine(workspace)] == ["state", "snapshots", "names"]


def test_files_that_lost_their_workspace_are_adopted_as_they_are(workspace, edit):
    workspace.jump(workspace.course.step("bye"))
    edit("monolith/farewell.py", MINE)
    shutil.rmtree(workspace.data_dir)
    before = contents(workspace)
    with pytest.raises(ExerciseError, match="exercises adopt N"):
        workspace.create()
    workspace.adopt(workspace.course.step("bye"))
    assert (contents(workspace), workspace.step.label) == (before, "02-bye")
    workspace.reset()
    assert contents(workspace) == expected(workspace, "bye", "start")
    workspace.restore(1)
    assert contents(workspace) == before


def test_a_folder_without_a_file_of_the_course_is_not_adopted(course, tmp_path):
    with pytest.raises(ExerciseError, match="has no file of the course"):
        Workspace(tmp_path, course).adopt(course.step("bye"))
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_start_are_removed_by_the_next(course, tmp_path):
    left = tmp_path / ".workspace.new-999999999"
    left.mkdir()
    Workspace(tmp_path / "workspace", course).create()
    assert not left.exists()


def test_the_next_exercise_keeps_the_learners_code_and_adds_its_own_files(workspace, edit):
    edit("monolith/style.py", 'STYLE = "mine"\n')
    edit("notes.md", "mine\n")
    edit("monolith/greeting.py", made_up.HELLO)
    moved = workspace.advance(anyway=True)
    assert contents(workspace) == {
        **expected(workspace, "bye", "start"),
        "monolith/style.py": b'STYLE = "mine"\n',
        "notes.md": b"mine\n",
    }
    assert (moved.incoming, moved.kept) == ([], [])
    assert workspace.step.label == "02-bye"


def test_when_both_changed_a_file_the_learners_stays_and_ours_is_written_beside_it(workspace, edit):
    edit("monolith/greeting.py", MINE)
    moved = workspace.advance(anyway=True)
    assert moved.incoming == ["monolith/greeting.py"]
    assert (workspace.root / "monolith/greeting.py").read_text() == MINE
    assert (workspace.root / "monolith/greeting.py.incoming").read_text().startswith("GREETINGS")
    assert workspace.incoming() == ["monolith/greeting.py.incoming"]


def test_a_file_that_the_learner_never_changed_is_updated(workspace):
    moved = workspace.advance(anyway=True)
    assert moved.incoming == []
    assert (workspace.root / "monolith/greeting.py").read_text().startswith("GREETINGS")


def test_a_file_that_a_step_removes_stays_when_the_learner_changed_it(workspace, edit):
    workspace.jump(workspace.course.step("bye"), "solution")
    workspace.jump(workspace.course.step("bye"))
    edit("monolith/old.py", "AGE = 101\n")
    moved = workspace.advance(anyway=True)
    assert moved.kept == ["monolith/old.py"]
    assert (workspace.root / "monolith/old.py").read_text() == "AGE = 101\n"


def test_a_file_that_a_step_removes_is_removed_when_the_learner_did_not_change_it(workspace):
    workspace.jump(workspace.course.step("bye"))
    workspace.advance(anyway=True)
    assert not (workspace.root / "monolith/old.py").exists()


def test_the_next_exercise_is_refused_before_the_checks_pass(workspace, edit):
    with pytest.raises(NotPassed, match="has not passed yet: run exercises check"):
        workspace.advance()
    workspace.note_pass()
    edit("monolith/greeting.py", MINE)
    with pytest.raises(NotPassed, match="has changed since it passed"):
        workspace.advance()
    workspace.note_pass()
    assert workspace.advance().step.label == "02-bye"


def test_nothing_follows_the_last_exercise(workspace):
    workspace.jump(workspace.course.step("tidy"))
    with pytest.raises(ExerciseError, match="03-tidy is the last exercise"):
        workspace.advance(anyway=True)


def test_a_jump_takes_the_reference_and_leaves_notes_alone(workspace, edit):
    edit("monolith/extra.py", "mine")
    edit("notes/today.md", "mine")
    done = workspace.jump(workspace.course.step("tidy"))
    assert contents(workspace) == {**expected(workspace, "tidy", "start"), "notes/today.md": b"mine"}
    workspace.restore(done.copy.number)
    assert (workspace.root / "monolith/extra.py").read_text() == "mine"
    assert workspace.step.label == "01-hello"


def test_a_reset_goes_back_to_what_the_learner_had_when_the_exercise_began(workspace, edit):
    edit("monolith/greeting.py", MINE)
    workspace.advance(anyway=True)
    began = contents(workspace)
    edit("monolith/greeting.py", "broken")
    edit("monolith/new.py", "new")
    (workspace.root / "monolith/cli.py").unlink()
    broken = contents(workspace)
    done = workspace.reset()
    assert contents(workspace) == began
    workspace.restore(done.copy.number)
    assert contents(workspace) == broken


def test_one_file_can_be_reset(workspace, edit):
    edit("monolith/greeting.py", "broken")
    edit("monolith/style.py", "mine")
    workspace.reset("monolith/greeting.py")
    assert (workspace.root / "monolith/style.py").read_text() == "mine"
    assert (
        contents(workspace)["monolith/greeting.py"]
        == expected(workspace, "hello", "start")["monolith/greeting.py"]
    )


def test_a_file_that_never_existed_cannot_be_reset(workspace):
    with pytest.raises(ExerciseError, match=r"There is no file monolith/nothing\.py, neither now nor"):
        workspace.reset("monolith/nothing.py")


def test_one_file_can_be_restored_from_a_copy(workspace, edit):
    edit("monolith/greeting.py", MINE)
    number = workspace.save("mine").number
    edit("monolith/greeting.py", "broken")
    edit("monolith/style.py", "newer")
    workspace.restore(number, "monolith/greeting.py")
    assert (workspace.root / "monolith/greeting.py").read_text() == MINE
    assert (workspace.root / "monolith/style.py").read_text() == "newer"


def test_copying_the_same_files_twice_makes_one_copy(workspace):
    assert workspace.save("first").number == workspace.save("second").number


def test_an_unknown_copy_is_refused(workspace):
    with pytest.raises(NoSuchSnapshot, match="There is no snapshot 99"):
        workspace.restore(99)


def test_restoring_an_incomplete_copy_changes_nothing(workspace, edit):
    edit("monolith/greeting.py", MINE)
    number = workspace.save("mine").number
    name = files.digest(MINE.encode())
    (workspace.data_dir / "objects" / name[:2] / name).unlink()
    edit("monolith/greeting.py", "newer")
    with pytest.raises(ExerciseError, match="is not complete"):
        workspace.restore(number)
    assert (workspace.root / "monolith/greeting.py").read_text() == "newer"


def test_a_file_too_large_to_be_copied_is_never_overwritten(workspace):
    big = workspace.root / "monolith/greeting.py"
    big.write_bytes(b"#" * (files.MAX_BYTES + 1))
    assert workspace.save("large").left_out == ("monolith/greeting.py",)
    with pytest.raises(ExerciseError, match="too large to be copied first"):
        workspace.jump(workspace.course.step("tidy"))
    assert big.stat().st_size > files.MAX_BYTES
    assert workspace.step.label == "01-hello"


@pytest.mark.parametrize("as_folder", ["monolith/farewell.py/inside.txt", "topology.py/inside.txt"])
def test_a_folder_where_a_file_must_be_is_refused_before_anything_changes(workspace, edit, as_folder):
    edit(as_folder, "mine")
    before = contents(workspace)
    with pytest.raises(ExerciseError, match="is a folder where a file must be"):
        workspace.advance(anyway=True)
    assert contents(workspace) == before


def test_a_file_where_a_folder_must_be_is_refused_before_anything_changes(workspace, edit):
    edit("shared", "mine")
    with pytest.raises(ExerciseError, match="is a file where a folder must be"):
        workspace.advance(anyway=True)
    assert (workspace.root / "shared").read_text() == "mine"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 1}', '{"version": 1, "exercise": "hello", "entered": "x"}']
)
def test_an_edited_state_file_is_one_sentence_and_can_be_repaired(workspace, edit, text):
    edit("monolith/greeting.py", MINE)
    workspace.state_file.path.write_text(text)
    with pytest.raises(BrokenState, match="exercises doctor --repair"):
        _ = workspace.step
    assert health.repair(workspace) == "The state file was restored from its copy: the exercise is 01-hello."
    assert workspace.step.label == "01-hello"
    assert (workspace.root / "monolith/greeting.py").read_text() == MINE
    assert len(list(workspace.data_dir.glob("state.broken-*"))) == 1


def test_a_state_without_its_copy_is_repaired_from_the_newest_snapshot(workspace):
    workspace.advance(anyway=True)
    workspace.state_file.path.write_text("{")
    workspace.state_file.copy.unlink()
    assert health.repair(workspace) == "The state file was restored from snapshot 2: the exercise is 02-bye."


def test_a_state_that_names_no_exercise_is_repaired(workspace):
    state = json.loads(workspace.state_file.path.read_text())
    workspace.state_file.path.write_text(json.dumps(state | {"exercise": "nothing"}))
    with pytest.raises(ExerciseError, match="There is no exercise 'nothing'"):
        _ = workspace.step
    assert health.repair(workspace) is not None
    assert workspace.step.label == "01-hello"


def test_a_jump_works_without_a_state(workspace):
    workspace.state_file.path.unlink()
    workspace.state_file.copy.unlink()
    workspace.jump(workspace.course.step("bye"))
    assert workspace.step.label == "02-bye"


def test_a_deleted_workspace_is_one_sentence(course, tmp_path):
    with pytest.raises(NoWorkspace, match="is not there; `exercises start` makes one"):
        Workspace(tmp_path / "gone", course).require()


def test_deleted_files_come_back_from_a_copy(workspace, edit):
    edit("monolith/greeting.py", MINE)
    number = workspace.save("mine").number
    for relpath in list(files.list_files(workspace.root)):
        (workspace.root / relpath).unlink()
    workspace.restore(number)
    assert contents(workspace)["monolith/greeting.py"] == MINE.encode()


def test_two_commands_do_not_change_a_workspace_at_the_same_time(workspace, monkeypatch):
    monkeypatch.setattr("exercises.workspaces.workspace.LOCK_SECONDS", 0.0)
    with (
        workspace.locked("check", print),
        pytest.raises(ExerciseError, match=re.escape("Another exercises check is running")),
        Workspace(workspace.root, workspace.course).locked("next", print),
    ):
        pass


@pytest.mark.parametrize("name", ["monolith/greeting.py", "./monolith/../monolith/greeting.py"])
def test_a_file_is_named_by_its_path_in_the_workspace(workspace, name):
    assert workspace.relpath(name) == "monolith/greeting.py"
    assert workspace.relpath(str(workspace.root / name)) == "monolith/greeting.py"


@pytest.mark.parametrize("name", ["../other", "/etc/passwd", ".exercises/state.json"])
def test_a_file_outside_of_the_workspace_is_refused(workspace, name):
    with pytest.raises(ExerciseError, match="is not a file of"):
        workspace.relpath(name)


def test_a_full_disk_at_any_write_loses_nothing(course, tmp_path, monkeypatch):
    """Each write in turn fails; the same command, run again, then completes the change."""
    reached, number = True, 0
    while reached:
        workspace = Workspace(tmp_path / f"workspace-{number}", course)
        workspace.create()
        mine = workspace.root / "monolith/greeting.py"
        mine.write_text(MINE)
        reached = _fails_at(monkeypatch, workspace, number)
        assert mine.read_text() == MINE
        with workspace.locked("next", lambda _: None):  # finishes an interrupted change
            if workspace.step.label == "01-hello":
                workspace.advance(anyway=True)
        after = contents(workspace)
        assert workspace.step.label == "02-bye"
        assert after["monolith/greeting.py"] == MINE.encode()
        assert {relpath for relpath in after if relpath.endswith(".draft")} == set()
        assert expected(workspace, "bye", "start").keys() <= after.keys()
        number += 1
    assert number > 10


def _fails_at(monkeypatch, workspace: Workspace, number: int) -> bool:
    """Go on to the next exercise while the write with this number fails; returns whether there was such a write."""
    left = [number]
    real = os.fsync

    def fsync(descriptor: int) -> None:
        left[0] -= 1
        if left[0] == -1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        try:
            workspace.advance(anyway=True)
        except OSError:
            return True
    return False
