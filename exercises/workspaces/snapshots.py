"""Copies of a workspace. Each content is stored once, under its digest; a snapshot is a list of paths and digests.

A snapshot is written with one rename after its contents are on the disk, so it is complete or not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from exercises import files
from exercises.errors import ExerciseError
from exercises.workspaces.state import State


class NoSuchSnapshot(ExerciseError):
    """There is no snapshot of this number."""


class Snapshot(BaseModel):
    """One copy of a workspace."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int
    at: datetime
    why: str
    state: State | None
    files: dict[str, str]
    """Path to digest."""
    left_out: tuple[str, ...] = ()
    """Files that were too large to be copied; no command overwrites them."""


class Store:
    """All snapshots of one workspace."""

    def __init__(self, folder: Path) -> None:
        self._objects = folder / "objects"
        self._snapshots = folder / "snapshots"

    def take(self, root: Path, why: str, state: State | None) -> Snapshot:
        """Copy the learner's files; returns the last snapshot when nothing has changed since."""
        found: dict[str, str] = {}
        left_out = []
        for relpath in files.list_files(root):
            path = root / relpath
            if path.stat().st_size > files.MAX_BYTES:
                left_out.append(relpath)
            else:
                found[relpath] = self.keep(path.read_bytes())
        last = self.last()
        if last and (last.files, last.state, last.left_out) == (found, state, tuple(left_out)):
            return last
        return self.new(why, state, found, tuple(left_out))

    def new(
        self, why: str, state: State | None, found: dict[str, str], left_out: tuple[str, ...] = ()
    ) -> Snapshot:
        """Store a snapshot of these files (digests by path) with the next number; they must be stored already."""
        snapshot = Snapshot(
            number=(self.numbers() or [0])[-1] + 1,
            at=datetime.now(UTC).replace(microsecond=0),
            why=why,
            state=state.model_copy(deep=True) if state else None,
            files=found,
            left_out=left_out,
        )
        self.add(snapshot)
        return snapshot

    def add(self, snapshot: Snapshot) -> None:
        """Store a snapshot with a number of its own; its contents must be stored already."""
        files.write(self._file(snapshot.number), snapshot.model_dump_json(indent=1).encode())

    def keep(self, content: bytes) -> str:
        """Store a content; returns its digest."""
        name = files.digest(content)
        path = self._objects / name[:2] / name
        if not path.exists():
            files.write(path, content)
        return name

    def content(self, name: str) -> bytes:
        """A stored content by its digest."""
        found = files.read(self._objects / name[:2] / name)
        if found is None or files.digest(found) != name:
            raise ExerciseError(f"{self._objects} was changed: the content {name[:12]} is missing there.")
        return found

    def get(self, number: int) -> Snapshot:
        """The snapshot with this number."""
        try:
            return Snapshot.model_validate_json(files.read(self._file(number)) or b"")
        except ValidationError:
            raise NoSuchSnapshot(f"There is no snapshot {number}; `exercises restore` lists them.") from None

    def numbers(self) -> list[int]:
        """The numbers of all snapshots, oldest first."""
        return sorted(int(path.stem) for path in self._snapshots.glob("*.json") if path.stem.isdigit())

    def all(self) -> list[Snapshot]:
        """The snapshots that can be read, oldest first."""
        found = []
        for number in self.numbers():
            try:
                found.append(self.get(number))
            except NoSuchSnapshot:
                continue
        return found

    def last(self) -> Snapshot | None:
        """The newest snapshot that can be read."""
        for number in reversed(self.numbers()):
            try:
                return self.get(number)
            except NoSuchSnapshot:
                continue
        return None

    def missing_files(self, snapshot: Snapshot) -> list[str]:
        """The files of a snapshot whose content is missing in the store."""
        return [
            relpath
            for relpath, name in snapshot.files.items()
            if not (self._objects / name[:2] / name).exists()
        ]

    def _file(self, number: int) -> Path:
        return self._snapshots / f"{number:04}.json"


def current(root: Path, relpaths: Mapping[str, object]) -> dict[str, str | None]:
    """The digests of files as they are now; None for files that are not there."""
    contents = {relpath: files.read(root / relpath) for relpath in relpaths}
    return {relpath: None if found is None else files.digest(found) for relpath, found in contents.items()}
