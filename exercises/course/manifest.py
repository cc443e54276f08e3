"""Reads and validates workshop.toml and each exercise.toml. Unknown keys are refused."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from exercises.errors import CourseError
from loadtests.experiments.toml_text import TomlError, read_toml

Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
WorkspacePath = Annotated[str, Field(pattern=r"^[^/.~][^\\]*[^/]$")]
"""A path in the workspace: relative, with slashes, not ending with one."""
Sentence = Annotated[str, Field(pattern=r"(?s)^\S.*[.!?]$")]


class Table(BaseModel):
    """The base of every table of the course's files."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Task(Table):
    """One numbered task of an exercise."""

    id: Id
    title: str
    checks: tuple[Id, ...] = Field(min_length=1)


class Paths(Table):
    """Paths for the state at the start of an exercise, and for its solution."""

    start: tuple[WorkspacePath, ...] = ()
    solution: tuple[WorkspacePath, ...] = ()


class Copy(Table):
    """Files that a state has a second time, below another folder."""

    to: WorkspacePath
    """The other folder."""
    paths: tuple[WorkspacePath, ...] = Field(min_length=1)
    """Files and folders of the state below."""
    original: bool = False
    """As a workspace begins, instead of as they are in the state below."""


class Copies(Table):
    """Copies that the state at the start of an exercise has, and its solution."""

    start: tuple[Copy, ...] = ()
    solution: tuple[Copy, ...] = ()


class Variant(Table):
    """An answer other than the solution: <name>.patch for it, files in <name>/ that replace its files, or both."""

    name: Id
    remove: tuple[WorkspacePath, ...] = ()
    """Files of the solution that this answer does not have."""
    keep: tuple[WorkspacePath, ...] = ()
    """Files that are as at the start, although the solution changes or removes them."""


class Alternative(Variant):
    """Another right answer, in alt/."""

    says: Sentence
    """How it differs from the solution."""


class Mistake(Variant):
    """A known wrong answer, in wrong/."""

    check: Id
    """The check that must fail."""
    words: str = Field(min_length=1)
    """Text that the failure must contain; white space and case are ignored."""
    mistake: Sentence

    @property
    def says(self) -> str:
        """How it differs from the solution: the mistake."""
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
    """Files or folders copied from the same path of the repository, after the overlay's own files."""
    copies: Copies = Copies()
    """Files that a state has a second time; copied in this order, before anything is removed."""
    remove: Paths = Paths()
    """Files or folders that the state no longer has; removed before the overlay is applied."""
    alt: tuple[Alternative, ...] = ()
    wrong: tuple[Mistake, ...] = ()

    @property
    def variants(self) -> dict[str, Alternative | Mistake]:
        """All other answers, by their path in the exercise's folder: alt/NAME or wrong/NAME."""
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
        if unknown := sorted({wrong.check for wrong in self.wrong} - checks):
            raise ValueError(f"no task has the check {', '.join(unknown)}")
        return self


class Track(Table):
    """A selection of exercises for a workshop of a certain length."""

    id: Id
    title: str
    exercises: tuple[Id, ...] = Field(min_length=1)
    days: int = Field(default=1, ge=1, le=5)
    lunch: bool = True


class Workshop(Table):
    """workshop.toml."""

    version: int = Field(ge=1)
    """Increased by a change that learners should know about; `exercises update` brings it into their workspaces."""
    title: str
    base: tuple[WorkspacePath, ...] = Field(min_length=1)
    """The files and folders of the repository that a workspace starts with."""
    leave_out: tuple[str, ...] = ()
    """Names of files and folders that are not copied from the repository; `*` stands for any text."""
    exercises: tuple[str, ...] = Field(min_length=1)
    """Folders in order, such as "03-draw-the-seam"."""
    tracks: tuple[Track, ...] = ()


Model = TypeVar("Model", bound=Table)


def read(model: type[Model], file: Path) -> Model:
    """The validated content of a TOML file; CourseError names the file, the key and what was expected."""
    try:
        found = _parse(model, file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CourseError(f"{file} is missing.") from None
    except (TomlError, UnicodeDecodeError) as error:
        raise CourseError(f"{file} is not TOML: {error}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise CourseError(f"{file}: {where}: {first['msg']}.") from None
    assert isinstance(found, model)
    return found


@lru_cache(maxsize=64)
def _parse(model: type[Table], text: str) -> Table:
    """The page reads the course again for each answer; parsing the same texts again would be half of that."""
    return model.model_validate(read_toml(text))


def _require_unique(what: str, names: list[str]) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"the {what} {', '.join(repeated)} is there twice")
