"""What one page is about: a workspace, the commands that it started, and the message of the last one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exercises.checks import load_run, open_shop
from exercises.checks.open_shop import SLOW, OpenShop
from exercises.course.course import Course
from exercises.errors import Exit
from exercises.page import runs
from exercises.page.live import Meters
from exercises.page.programs import Done, Programs
from exercises.page.room import membership
from exercises.page.room.membership import Membership
from exercises.page.room.teller import Teller, where
from exercises.workspaces import last_check, progress, watch
from exercises.workspaces.progress import FILE, Progress
from exercises.workspaces.state import DATA_FOLDER
from exercises.workspaces.workspace import Workspace

CHECK, SERVE, LOAD = "check", "serve", "load"


class Commands:
    """The commands that a page started, and what the last one said."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.programs = Programs(settings)
        self.notice: Done | None = None
        """The command whose message is shown."""
        self.notices = 0
        """Grows with each message, and with each end of a command."""

    def do(self, *words: str) -> None:
        """Run a command that ends soon, and show its message."""
        self.show(self.programs.run(*words))

    def do_quietly(self, *words: str) -> None:
        """The same for a command whose result the page shows anyway: only a failure is a message."""
        done = self.programs.run(*words)
        if done.status:
            self.show(done)
        else:
            self.dismiss()

    def start(self, kind: str, *words: str) -> None:
        """Start a command that takes long, such as a check; its results are in files.

        What it could not do is shown: it says so on standard error.
        """
        self.dismiss()
        if not self.programs.start(kind, words, self._ended):
            sentence = f"exercises {kind} of this page still runs; wait for its end or stop it.\n"
            self.show(Done(words, Exit.TOOL_ERROR, "", sentence))

    def steer(self, which: tuple[str, ...], words: list[str]) -> None:
        """Run `exercises shop` for a shop. To slow something lasts, so that goes on in the background."""
        command = ("shop", *which, *words)
        if words[0] == SLOW:
            self.start(" ".join(command), *command)
        else:
            self.do(*command)

    def show(self, done: Done) -> None:
        """Show what a command said."""
        self.notice = done
        self.notices += 1

    def dismiss(self) -> None:
        """Show no message any more."""
        self.notices += 1
        self.notice = None

    def close(self) -> None:
        """End what was started here."""
        self.programs.close()

    def _ended(self, done: Done) -> None:
        if done.err.strip():
            self.show(Done(done.words, done.status, "", done.err))
        self.notices += 1


class Desk(Commands):
    """One workspace as the page sees it. Nothing of the learner's is kept here: the files say it."""

    def __init__(self, root: Path, course: Path) -> None:
        super().__init__({"EXERCISES_WORKSPACE": str(root), "EXERCISES_COURSE": str(course)})
        self._root = root
        self._course = course
        self.meters = Meters()
        self.comparison: runs.Comparison | None = None
        """Of two runs, the last that was asked for."""
        self.teller = Teller(root / DATA_FOLDER, lambda: where(self.workspace()))
        """Tells the teacher's room, if the learner is in one."""

    def membership(self) -> Membership | None:
        """The learner's place in the teacher's room; None for a learner who is in none."""
        return membership.stored(self._root / DATA_FOLDER)

    def close(self) -> None:
        """End what was started here."""
        self.teller.close()
        super().close()

    def compare(self, before: str, after: str) -> None:
        """Run `loadtests compare` for two runs of the lab; ExerciseError when one is not there."""
        folders = [str(runs.folder(self._root, name)) for name in (before, after)]
        done = self.programs.run("compare", *folders, "--markdown", program="loadtests")
        if done.status:
            self.show(done)
        else:
            self.comparison = runs.Comparison(before, after, done.out)
            self.dismiss()

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
        found, data_dir = self.progress(), self._root / DATA_FOLDER
        running = bool(found and found.running)
        parts = (
            [_stamp(data_dir / name) for name in ("state.json", last_check.FILE, FILE, membership.FILE)],
            running,
            [self.programs.is_running(kind) for kind in (CHECK, SERVE, LOAD)],
            self.notices,
            self.teller.trouble,
            sorted(watch.times(self._root).items()),
        )
        version = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
        return {"version": version, "running": running or self.programs.is_running(CHECK)}

    def open_shop(self) -> OpenShop | None:
        """The shop that `exercises serve` keeps open, whoever started it."""
        return open_shop.find(self._root / DATA_FOLDER / SERVE)

    def shop(self) -> OpenShop:
        """The same; ExerciseError when none is open."""
        return open_shop.require(self._root / DATA_FOLDER / SERVE)

    def load_points(self) -> dict[str, Any]:
        """Each second of the run of visitors that goes on or was the last, and of the one before it."""
        folder = self._root / DATA_FOLDER / LOAD
        return {
            "points": load_run.points(folder / load_run.POINTS),
            "earlier": load_run.points(folder / load_run.EARLIER),
        }


def _stamp(path: Path) -> tuple[int, int]:
    """When the file was changed, in nanoseconds, and its size; zeros when it is not there."""
    try:
        about = path.stat()
    except OSError:
        return 0, 0
    return about.st_mtime_ns, about.st_size
