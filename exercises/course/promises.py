"""Reads promises.toml: what an exercise's text promises, and the check and the wrong answer that hold each promise."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from exercises.course.course import Step
from exercises.course.manifest import Id, Table, read

FILE = "promises.toml"


class Promise(Table):
    """One promise of the README."""

    text: str = Field(min_length=1)
    """The promise in the README's words, short."""
    check: Id
    """The check that fails when the promise is broken."""
    wrong: Id | Literal[""] = ""
    """The answer in wrong/ that breaks only this promise, and that this check catches."""
    why: str = ""
    """Why no wrong answer can break this promise alone; needed when none is named."""

    @model_validator(mode="after")
    def _has_a_wrong_answer_or_a_reason(self) -> Promise:
        if not self.wrong and not self.why:
            raise ValueError(f"{self.text!r} names no wrong answer, so it needs a `why`")
        return self


class Promises(Table):
    """promises.toml."""

    promise: tuple[Promise, ...] = Field(min_length=1)


def read_promises(step: Step) -> tuple[Promise, ...]:
    """The table of an exercise, in the order of the file; CourseError when it is missing or has a mistake."""
    return read(Promises, step.file(FILE)).promise
