"""What became of a mutant, and the results that are stored between runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from exercises import files
from exercises.authoring.mutation.mutants import Mutant
from exercises.course.course import Course, Step


class End(StrEnum):
    """What became of a mutant, in the words that are shown."""

    CAUGHT = "caught"
    SURVIVED = "survived"
    HUNG = "timed out"
    """It was stopped because it did not end. That counts as caught."""
    BROKE = "broke a check"
    """A check failed with an error of its own: a learner would read of a mistake of the course."""
    UNDECIDED = "undecided"
    """The machine was too busy. It is tried again by the next run."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one mutant."""

    end: End
    check: str = ""
    """The check that did not pass."""
    words: str = ""
    """What that check said."""
    seconds: float = 0.0
    took: dict[str, float] = field(default_factory=dict)
    """When all checks passed: the seconds that each took, by id, without those that were tried twice."""


class Store:
    """The results of one exercise, each in a file named after the mutant, with a digest of the state and checks."""

    def __init__(self, course: Course, step: Step) -> None:
        self.folder = course.repository / "build" / "mutants" / step.label
        state = course.state(step, "solution")
        contents = [f"{file}\0{files.digest(path.read_bytes())}" for file, path in sorted(state.items())]
        self._state = _digest([files.digest(step.file("check.py").read_bytes()), *contents])

    def find(self, mutant: Mutant, *, older: bool = False) -> Result | None:
        """The stored result; None when there is none for this state and these checks.

        With `older`, also one of another state or of other checks, if the mutant was caught.
        """
        try:
            found = json.loads(self._file(mutant).read_text(encoding="utf-8"))
            is_current = found.pop("state") == self._state
            result = Result(End(found.pop("end")), **found)
        except (OSError, ValueError, TypeError, LookupError):
            return None
        return result if is_current or (older and result.end is End.CAUGHT) else None

    def add(self, mutant: Mutant, result: Result) -> None:
        """Store a result, unless it says nothing."""
        if result.end is not End.UNDECIDED:
            content = {**asdict(result), "state": self._state}
            files.write(self._file(mutant), json.dumps(content).encode())

    def forget(self, mutant: Mutant) -> None:
        """Remove a stored result, if there is one."""
        self._file(mutant).unlink(missing_ok=True)

    def _file(self, mutant: Mutant) -> Path:
        return self.folder / f"{_digest([mutant.kind, mutant.file, mutant.content])}.json"


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
