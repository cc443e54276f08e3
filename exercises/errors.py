"""Errors whose text is one sentence for a person, with the cause and the next step; and the exit statuses."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses of the command."""

    PASS = 0
    NOT_YET = 1
    TOOL_ERROR = 2
    """A mistake of the tool, or a wrong argument; click also uses 2 for a wrong argument."""
    INCONCLUSIVE = 3
    INTERRUPTED = 130
    """What a shell reports for Ctrl-C."""


class ExerciseError(Exception):
    """The text is shown as it is, without a traceback."""

    status = Exit.TOOL_ERROR


class CourseError(ExerciseError):
    """A file of the course cannot be used; only its authors can repair that."""


class NotStarted(ExerciseError):
    """The shop of the workspace could not be started; the text ends with the last lines of its log."""

    status = Exit.NOT_YET
