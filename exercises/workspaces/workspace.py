"""A learner's workspace: create, advance, jump, reset, save, restore. Files are copied before they are overwritten.

The tool's own files are in `.exercises` inside the workspace; all other files are the learner's. Learners need no git.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from exercises import files
from exercises.course.course import Course, Step, Tree
from exercises.errors import ExerciseError, Exit
from exercises.workspaces import beginning, upstream
from exercises.workspaces.change import Change, Changer, Contents
from exercises.workspaces.snapshots import Snapshot, Store
from exercises.workspaces.state import DATA_FOLDER, State, StateFile
from exercises.workspaces.upstream import INCOMING, Merge

LOCK_SECONDS = 2.0


class NoWorkspace(ExerciseError):
    """There is no workspace."""


class NotPassed(ExerciseError):
    """The exercise has not passed."""

    status = Exit.NOT_YET


@dataclass(frozen=True, slots=True)
class Advanced:
    """The result of going on to the next exercise, or of an update."""

    step: Step
    change: Change
    incoming: list[str]
    """The learner's files beside which our version was written."""
    kept: list[str]
    """Files that the exercise removes, but that stay because the learner changed them."""


class Workspace:
    """One workspace. Commands that change or check it do so inside `locked`."""

    def __init__(self, root: Path, course: Course) -> None:
        self.root = root.absolute()
        self.course = course
        self.data_dir = self.root / DATA_FOLDER
        self.store = Store(self.data_dir)
        self.state_file = StateFile(self.data_dir)
        self.changer = Changer(self.root, self.data_dir, self.store, self.state_file)

    @property
    def state(self) -> State:
        """Where the learner is, read from the file; BrokenState when it cannot be used."""
        return self.state_file.read()

    @property
    def step(self) -> Step:
        """The current exercise."""
        return self.course.step(self.state.exercise)

    def require(self) -> None:
        """Raise NoWorkspace when there is none."""
        if not self.data_dir.is_dir():
            what = "is no workspace" if self.root.exists() else "is not there"
            raise NoWorkspace(
                f"{self.root} {what}; `exercises start` makes one, --workspace names another folder."
            )

    def create(self) -> Step:
        """Create the workspace with the first exercise, whole or not at all."""
        if self.data_dir.is_dir():
            raise ExerciseError(f"{self.root} is a workspace already.")
        return beginning.create(self.root, self.course)

    def adopt(self, step: Step) -> None:
        """Make the folder, which has lost the tool's own files, a workspace at an exercise."""
        beginning.adopt(self.root, self.course, step)

    @contextmanager
    def locked(self, what: str, say: Callable[[str], None]) -> Iterator[None]:
        """Lock the workspace against other commands; an interrupted change is finished first."""
        self.require()
        with (self.data_dir / "lock").open("a+") as lock:
            self._wait_for(lock.fileno())
            lock.truncate(0)
            lock.write(what)
            lock.flush()
            self.changer.finish(say)
            yield

    def digest(self) -> str:
        """One digest of all of the learner's files together."""
        lines = (
            f"{relpath} {files.digest((self.root / relpath).read_bytes())}"
            for relpath in files.list_files(self.root)
        )
        return files.digest("\n".join(lines).encode())

    def has_passed(self) -> bool:
        """Whether the current exercise passed with the files as they are now."""
        state = self.state
        return state.passed.get(state.exercise) == self.digest()

    def note_pass(self) -> None:
        """Store that the current exercise passed with the files as they are now."""
        state = self.state
        state.passed[state.exercise] = self.digest()
        self.state_file.write(state)

    def advance(self, *, anyway: bool = False) -> Advanced:
        """Go on to the next exercise with the learner's own code."""
        state, step = self.state, self.step
        following = self.course.after(step)
        if following is None:
            raise ExerciseError(f"{step.label} is the last exercise; there is no next one.")
        if not anyway and not self.has_passed():
            why = "has changed since it passed" if step.id in state.passed else "has not passed yet"
            raise NotPassed(f"{step.label} {why}: run exercises check, or go on with exercises next --anyway")
        changed = self._update(state, self._mine)
        updated = changed.wanted
        brought = upstream.advance(
            self.course, step, following, lambda relpath: updated.get(relpath, self._mine(relpath))
        )
        merge = upstream.both(changed, brought, self.course.state(following, "start"))
        new = state.model_copy(update=upstream.entering(self.course, following, self.store))
        done = self.changer.make(f"next to {following.label}", merge.wanted, state, new, begins=True)
        return Advanced(following, done, merge.incoming, merge.kept)

    def changed_upstream(self) -> Merge:
        """What changed in the course for this exercise since the learner got it; nothing is written."""
        return self._update(self.state, self._mine)

    def update(self) -> Advanced:
        """Bring what changed in the course into the workspace. The exercise stays the same one."""
        state, step = self.state, self.step
        merge = self.changed_upstream()
        began = self._beginning_updated(state).number if merge else state.entered
        new = state.model_copy(update={**upstream.entering(self.course, step, self.store), "entered": began})
        done = self.changer.make(f"update of {step.label}", merge.wanted, state, new, begins=False)
        return Advanced(step, done, merge.incoming, merge.kept)

    def jump(self, step: Step, which: str = "start") -> Change:
        """Take the reference state of an exercise. The learner's notes and folders beside the course's own stay."""
        everything = self._exactly(self.course.state(step, which))
        top = self.course.top_level
        wanted = {relpath: text for relpath, text in everything.items() if relpath.partition("/")[0] in top}
        what = f"jump to {step.label}" if which == "start" else f"the solution of {step.label}"
        old = self._state_or_none()
        entering = upstream.entering(self.course, step, self.store)
        new = old.model_copy(update=entering) if old else State(entered=0, **entering)
        return self.changer.make(what, wanted, old, new, begins=which == "start")

    def reset(self, relpath: str | None = None) -> Change:
        """Set everything, or one file, back to how it was when the current exercise began."""
        state = self.state
        began = self.store.get(state.entered)
        self._require_contents(began)
        if relpath is None:
            what, wanted = f"reset of {self.step.label}", self._exactly_as(began)
        else:
            files.require_inside(self.root, relpath)
            if relpath not in began.files and not (self.root / relpath).is_file():
                raise ExerciseError(
                    f"There is no file {relpath}, neither now nor when {self.step.label} began."
                )
            name = began.files.get(relpath)
            what, wanted = (
                f"reset of {relpath}",
                {relpath: None if name is None else self.store.content(name)},
            )
        return self.changer.make(what, wanted, state, state, begins=False)

    def save(self, note: str) -> Snapshot:
        """Copy everything as it is now."""
        return self.store.take(self.root, note, self._state_or_none())

    def restore(self, number: int, relpath: str | None = None) -> Change:
        """Set everything, or one file, back to a snapshot."""
        snapshot = self.store.get(number)
        self._require_contents(snapshot)
        old = self._state_or_none()
        new = snapshot.state or old
        if new is None:
            raise ExerciseError(
                f"Snapshot {number} does not say which exercise it belongs to; jump to one first."
            )
        if relpath is None:
            # Passed exercises and seen hints are kept; only the current exercise changes back.
            kept = {"passed": old.passed, "hints": old.hints} if old else {}
            new = new.model_copy(update=kept)
            return self.changer.make(f"restore {number}", self._exactly_as(snapshot), old, new, begins=False)
        if relpath not in snapshot.files:
            raise ExerciseError(f"Snapshot {number} has no file {relpath}.")
        wanted: Contents = {relpath: self.store.content(snapshot.files[relpath])}
        return self.changer.make(f"restore {number} {relpath}", wanted, old, old or new, begins=False)

    def incoming(self) -> list[str]:
        """Our files that are still beside the learner's, to be merged."""
        return [relpath for relpath in files.list_files(self.root) if relpath.endswith(INCOMING)]

    def relpath(self, name: str) -> str:
        """A file's path in the workspace, from a path relative to it or to the current folder, or an absolute one."""
        for candidate in (Path(name).absolute(), self.root / name):
            with contextlib.suppress(ValueError):
                relpath = Path(os.path.normpath(candidate)).relative_to(self.root).as_posix()
                if not relpath.startswith(DATA_FOLDER):
                    return relpath
        raise ExerciseError(f"{name} is not a file of {self.root}.")

    def _mine(self, relpath: str) -> bytes | None:
        return files.read(self.root / relpath)

    def _beginning_updated(self, state: State) -> Snapshot:
        """A snapshot of the exercise's beginning with what has changed in the course since."""
        began = self.store.get(state.entered)
        self._require_contents(began)
        contents = {relpath: self.store.content(name) for relpath, name in began.files.items()}
        merge = self._update(state, contents.get)
        for relpath, text in merge.wanted.items():
            if text is None:
                contents.pop(relpath, None)
            elif not relpath.endswith(INCOMING):
                contents[relpath] = text
        found = {relpath: self.store.keep(text) for relpath, text in contents.items()}
        return self.store.new(f"begin {self.step.label}, updated", state, found)

    def _update(self, state: State, mine: upstream.Reader) -> Merge:
        before = self._reference(state)
        return upstream.update(self.course, self.step, before, mine) if before else Merge()

    def _reference(self, state: State) -> upstream.Reference | None:
        """The course's files as they were when the learner got them; None when that was not stored."""
        try:
            return upstream.Reference.model_validate_json(self.store.content(state.reference))
        except (ExerciseError, ValidationError):
            return None

    def _exactly(self, tree: Tree) -> dict[str, bytes | None]:
        return self._without_others({relpath: source.read_bytes() for relpath, source in tree.items()})

    def _exactly_as(self, snapshot: Snapshot) -> dict[str, bytes | None]:
        found = self._without_others(
            {relpath: self.store.content(name) for relpath, name in snapshot.files.items()}
        )
        return {relpath: text for relpath, text in found.items() if relpath not in snapshot.left_out}

    def _without_others(self, wanted: dict[str, bytes]) -> dict[str, bytes | None]:
        small = (p for p in files.list_files(self.root) if (self.root / p).stat().st_size <= files.MAX_BYTES)
        return {**dict.fromkeys(small), **wanted}

    def _require_contents(self, snapshot: Snapshot) -> None:
        if missing := self.store.missing_files(snapshot):
            raise ExerciseError(
                f"Snapshot {snapshot.number} is not complete ({missing[0]} is missing in {self.data_dir}); "
                "nothing was changed."
            )

    def _state_or_none(self) -> State | None:
        try:
            return self.state
        except ExerciseError:
            return None

    def _wait_for(self, lock: int) -> None:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    what = (files.read(self.data_dir / "lock") or b"").decode(errors="replace") or "command"
                    raise ExerciseError(
                        f"Another exercises {what} is running in {self.root}; wait for its end or stop it with Ctrl-C."
                    ) from None
                time.sleep(0.05)
            else:
                return
