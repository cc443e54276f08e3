"""What one page is about: a workspace, the commands that it started, and the message of the last one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from exercises.course.course import Course
from exercises.errors import Exit
from exercises.page.programs import Done, Programs
from exercises.workspaces import last_check, progress, watch
from exercises.workspaces.progress import FILE, Progress
from exercises.workspaces.state import DATA_FOLDER
from exercises.workspaces.workspace import Workspace


class Desk:
    """One workspace as the page sees it. Nothing of the learner's is kept here: the files say it."""

    def __init__(self, root: Path, course: Path) -> None:
        self._root = root
        self._course = course
        self.programs = Programs(root, course)
        self.notice: Done | None = None
        """The command whose message is shown."""
        self._notices = 0

    def workspace(self) -> Workspace:
        """The workspace as it is now; the course is read again, because it may have been updated."""
        workspace = Workspace(self._root, Course(self._course))
        workspace.require()
        return workspace

    def progress(self) -> Progress | None:
        """The check that runs now or ran last, whoever started it."""
        return progress.read(self._root / DATA_FOLDER)

    def now(self) -> dict[str, Any]:
        """What the page asks for every second; it costs a few milliseconds.

        `version` changes when there is something new to show, `running` says that more will follow soon.
        """
        progress, data_dir = self.progress(), self._root / DATA_FOLDER
        running = bool(progress and progress.running)
        parts = (
            [_stamp(data_dir / name) for name in ("state.json", last_check.FILE, FILE)],
            running,
            self.programs.checking,
            self._notices,
            sorted(watch.times(self._root).items()),
        )
        version = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
        return {"version": version, "running": running or self.programs.checking}

    def do(self, *words: str) -> Done:
        """Run a command and show its message."""
        self.show(self.programs.run(*words))
        assert self.notice is not None
        return self.notice

    def check(self, *words: str) -> None:
        """Start a check; its results are in the workspace. When it could not begin, its sentence is shown."""
        self.dismiss()
        if not self.programs.start_check(("check", *words), self._check_ended):
            sentence = "A check of this page still runs; wait for its end or stop it.\n"
            self.show(Done(("check", *words), Exit.TOOL_ERROR, "", sentence))

    def dismiss(self) -> None:
        """Show no message any more."""
        self._notices += 1
        self.notice = None

    def close(self) -> None:
        """End what was started here."""
        self.programs.close()

    def _check_ended(self, done: Done) -> None:
        """A check that could not begin or was stopped says so on standard error."""
        if done.err.strip():
            self.show(Done(done.words, done.status, "", done.err))
        self._notices += 1

    def show(self, done: Done) -> None:
        self.notice = done
        self._notices += 1


def _stamp(path: Path) -> tuple[int, int]:
    """When the file was changed, in nanoseconds, and its size; zeros when it is not there."""
    try:
        about = path.stat()
    except OSError:
        return 0, 0
    return about.st_mtime_ns, about.st_size
