"""Where a learner is in the course: a small JSON file and a copy of it, because people edit files that they find."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from exercises import files
from exercises.errors import ExerciseError, Exit

DATA_FOLDER = ".exercises"
"""The folder of a workspace with the tool's own files."""


class BrokenState(ExerciseError):
    """The state file cannot be used."""

    status = Exit.TOOL_ERROR


class State(BaseModel):
    """What is stored about a learner."""

    model_config = ConfigDict(extra="forbid")

    version: int
    """The workshop's version."""
    exercise: str
    """Id of the current exercise."""
    entered: int
    """Number of the snapshot that was made when the exercise began; `reset` returns to it."""
    reference: str = ""
    """Digest of the stored `Reference`: the course's files when the learner got them; empty when it is unknown."""
    passed: dict[str, str] = Field(default_factory=dict)
    """Exercise id to the digest of the workspace that passed its checks."""
    hints: dict[str, int] = Field(default_factory=dict)
    """"exercise/task" to the number of hints seen."""


class StateFile:
    """state.json, and its copy."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.json"
        self.copy = folder / "state.copy.json"

    def read(self) -> State:
        """The state; BrokenState when it is missing or cannot be used."""
        content = files.read(self.path)
        if content is None:
            raise BrokenState(f"{self.path} is missing; `exercises doctor --repair` restores it.")
        try:
            return State.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise BrokenState(
                f"{self.path} cannot be used ({f'{where}: ' if where else ''}{first['msg']}); "
                "`exercises doctor --repair` restores it."
            ) from None

    def write(self, state: State) -> None:
        """Write the state and its copy, each file whole or not at all."""
        content = state.model_dump_json(indent=1).encode()
        files.write(self.path, content)
        files.write(self.copy, content)

    def from_copy(self) -> State | None:
        """The state from the copy; None when that cannot be used either."""
        try:
            return State.model_validate_json(files.read(self.copy) or b"")
        except ValidationError:
            return None
