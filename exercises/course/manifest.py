"""The course's own files, checked: workshop.toml and each exercise.toml. Unknown keys are refused."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from exercises.errors import CourseError

Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
WorkspacePath = Annotated[str, Field(pattern=r"^[^/.~][^\\]*[^/]$")]
"""A path in the workspace: relative, with slashes, not ending with one."""
Sentence = Annotated[str, Field(pattern=r"(?s)^\S.*[.!?]$")]


class Table(BaseModel):
    """Settings that every table of the course's files shares."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Task(Table):
    """One numbered task of an exercise."""

    id: Id
    title: str
    checks: tuple[Id, ...] = Field(min_length=1)


class Paths(Table):
    """Paths for the state that an exercise begins with, and for the one that it ends with."""

    start: tuple[WorkspacePath, ...] = ()
    solution: tuple[WorkspacePath, ...] = ()


class Variant(Table):
    """Another answer than the solution: <name>.patch for the solution, files in <name>/ laid over it, or both."""

    name: Id
    remove: tuple[WorkspacePath, ...] = ()
    """Files of the solution that it does without."""
    keep: tuple[WorkspacePath, ...] = ()
    """Files that are as the exercise began, though the solution changes or removes them."""


class Alternative(Variant):
    """Another right answer, in alt/."""

    says: Sentence
    """What is different, and still right."""


class Mistake(Variant):
    """A known wrong answer, in wrong/."""

    check: Id
    """The check that must fail."""
    words: str = Field(min_length=1)
    """What the failure must say; white space and case are ignored."""
    mistake: Sentence

    @property
    def says(self) -> str:
        """What is different, and wrong."""
        return self.mistake


class Exercise(Table):
    """exercise.toml."""

    id: Id
    title: str
    minutes: int = Field(ge=5, le=240)
    goal: Sentence
    needs_load: bool = False
    """Some of its checks make load."""
    tasks: tuple[Task, ...] = Field(min_length=1)
    reference: Paths = Paths()
    """Files or folders taken from the same path of the repository, after the overlay's own files."""
    remove: Paths = Paths()
    """Files or folders that the state no longer has; taken away before its overlay is laid."""
    alt: tuple[Alternative, ...] = ()
    wrong: tuple[Mistake, ...] = ()

    @property
    def variants(self) -> dict[str, Alternative | Mistake]:
        """All other answers, by the place where they are kept: alt/NAME or wrong/NAME."""
        return {f"alt/{alt.name}": alt for alt in self.alt} | {
            f"wrong/{wrong.name}": wrong for wrong in self.wrong
        }

    @model_validator(mode="after")
    def _names_are_unique(self) -> Exercise:
        _require_unique("task", [task.id for task in self.tasks])
        _require_unique("check", [check for task in self.tasks for check in task.checks])
        _require_unique("alt", [alt.name for alt in self.alt])
        _require_unique("wrong", [wrong.name for wrong in self.wrong])
        checks = {check for task in self.tasks for check in task.checks}
        if strangers := sorted({wrong.check for wrong in self.wrong} - checks):
            raise ValueError(f"no task has the check {', '.join(strangers)}")
        return self


class Track(Table):
    """A selection for a workshop of some length."""

    id: Id
    title: str
    exercises: tuple[Id, ...] = Field(min_length=1)
    days: int = Field(default=1, ge=1, le=5)
    lunch: bool = True


class Workshop(Table):
    """workshop.toml."""

    version: int = Field(ge=1)
    """Raised when a workspace of the version before cannot go on."""
    title: str
    base: tuple[WorkspacePath, ...] = Field(min_length=1)
    """What a workspace begins with: files and folders of the repository."""
    leave_out: tuple[str, ...] = ()
    """Names of files and folders that are not taken over from the repository; `*` stands for anything."""
    exercises: tuple[str, ...] = Field(min_length=1)
    """Folders in order, such as "03-draw-the-seam"."""
    tracks: tuple[Track, ...] = ()


Model = TypeVar("Model", bound=Table)


def read(model: type[Model], file: Path) -> Model:
    """The checked content of a TOML file; CourseError names the file, the key and what was expected."""
    try:
        with file.open("rb") as stream:
            return model.model_validate(tomllib.load(stream))
    except FileNotFoundError:
        raise CourseError(f"{file} is missing.") from None
    except tomllib.TOMLDecodeError as error:
        raise CourseError(f"{file} is not TOML: {error}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise CourseError(f"{file}: {where}: {first['msg']}.") from None


def _require_unique(what: str, names: list[str]) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"the {what} {', '.join(repeated)} is there twice")
