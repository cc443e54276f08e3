"""Changes many files of a workspace as one step that survives a power cut: snapshot, journal, change, remove journal.

First everything that the change needs is stored: a snapshot of the present files, the new contents, and the snapshot
of the result. Then the change is written to the journal. From then on it will happen: now, or when the next command
finds the journal. The change may be applied twice without harm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from exercises import files
from exercises.errors import ExerciseError
from exercises.workspaces.snapshots import Snapshot, Store, current
from exercises.workspaces.state import State, StateFile

Contents = Mapping[str, bytes | None]
"""New contents by path; None means that the file is removed."""


class Journal(BaseModel):
    """A change that has begun; all values of `before` and `after` are digests, None for a file that is not there."""

    model_config = ConfigDict(extra="forbid")

    what: str
    copy_number: int
    before: dict[str, str | None]
    after: dict[str, str | None]
    state: State


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was made: the paths of the files that it wrote and removed."""

    written: list[str]
    removed: list[str]
    copy: Snapshot
    """The snapshot from before the change."""


class Changer:
    """Makes changes to one workspace; the caller must hold the workspace's lock."""

    def __init__(self, root: Path, data_dir: Path, store: Store, state: StateFile) -> None:
        self._root = root
        self._store = store
        self._state = state
        self._journal = data_dir / "journal.json"

    @property
    def interrupted(self) -> bool:
        """Whether a change has begun and not ended."""
        return self._journal.exists()

    def make(self, what: str, wanted: Contents, old: State | None, new: State, *, begins: bool) -> Change:
        """Make the change. With `begins`, its result is the state that `reset` returns to."""
        copy = self._store.take(self._root, f"before {what}", old)
        before = current(self._root, wanted)
        after = {
            relpath: None if text is None else self._store.keep(text) for relpath, text in wanted.items()
        }
        after = {relpath: name for relpath, name in after.items() if name != before[relpath]}
        self._refuse_impossible(copy, after)
        if begins:
            new = self._outcome(copy, after, what, new)
        journal = Journal(
            what=what,
            copy_number=copy.number,
            before={relpath: before[relpath] for relpath in after},
            after=after,
            state=new,
        )
        files.write(self._journal, journal.model_dump_json(indent=1).encode())
        self._do(journal)
        written = [relpath for relpath, name in after.items() if name is not None]
        return Change(written, [relpath for relpath in after if relpath not in written], copy)

    def finish(self, say: Callable[[str], None]) -> None:
        """Finish an interrupted change; files that were edited since are copied first."""
        if not self.interrupted:
            return
        try:
            journal = Journal.model_validate_json(files.read(self._journal) or b"")
        except ValidationError:
            aside = self._journal.with_suffix(".broken")
            self._journal.replace(aside)
            say(
                f"The journal of an interrupted change cannot be read, so the change is dropped; it is kept as {aside}."
            )
            return
        now = current(self._root, journal.after)
        edited = [
            relpath
            for relpath in now
            if now[relpath] not in {journal.before[relpath], journal.after[relpath]}
        ]
        number = journal.copy_number
        if edited:
            number = self._store.take(self._root, f"before {journal.what} was finished", None).number
        self._do(journal)
        say(
            f"Finished an interrupted change: {journal.what}. "
            f"Your old files are snapshot {number}: exercises restore {number}"
        )

    def _do(self, journal: Journal) -> None:
        for relpath, name in journal.after.items():
            if name is None:
                files.remove(self._root / relpath, self._root)
        for relpath, name in journal.after.items():
            if name is not None:
                files.write(self._root / relpath, self._store.content(name))
        self._state.write(journal.state)
        self._journal.unlink()

    def _outcome(self, copy: Snapshot, after: Mapping[str, str | None], what: str, new: State) -> State:
        """Store the snapshot of the result; returns the new state, which has its number."""
        merged: dict[str, str | None] = {**copy.files, **after}
        found = {relpath: name for relpath, name in merged.items() if name is not None}
        number = self._store.numbers()[-1] + 1
        state = new.model_copy(update={"entered": number})
        at = datetime.now(UTC).replace(microsecond=0)
        self._store.add(Snapshot(number=number, at=at, why=f"after {what}", state=state, files=found))
        return state

    def _refuse_impossible(self, copy: Snapshot, after: Mapping[str, str | None]) -> None:
        if large := sorted(set(copy.left_out) & set(after)):
            raise ExerciseError(
                f"{large[0]} would be overwritten, but it is too large to be copied first; move it out of {self._root}."
            )
        for relpath, name in after.items():
            path = self._root / relpath
            if name is not None and path.is_dir() and list(files.list_files(path)):
                raise ExerciseError(
                    f"{path} is a folder where a file must be; move it away and run this again."
                )
            for parent in path.relative_to(self._root).parents:
                above = self._root / parent
                if name is not None and above.is_file() and parent.as_posix() not in after:
                    raise ExerciseError(
                        f"{above} is a file where a folder must be; move it away and run this again."
                    )
