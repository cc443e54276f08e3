"""What goes wrong, each in one sentence for a person: the cause, and what to do next. And the exit statuses."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses of the command."""

    PASS = 0
    NOT_YET = 1
    TOOL_ERROR = 2
    """Our fault, or a wrong argument; click uses 2 for the latter as well."""
    INCONCLUSIVE = 3
    INTERRUPTED = 130
    """What a shell reports for Ctrl-C."""


class ExerciseError(Exception):
    """The text is shown as it is, without a traceback."""

    status = Exit.TOOL_ERROR


class CourseError(ExerciseError):
    """A file of the course cannot be used; only its authors can mend that."""


class NotStarted(ExerciseError):
    """The shop of the workspace could not be started; the text ends with what it wrote last."""

    status = Exit.NOT_YET
