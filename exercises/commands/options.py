"""What several commands share: options, finding the workspace, and the messages at their end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from exercises import files
from exercises.commands.output import Printer
from exercises.course.course import Course, Step
from exercises.errors import ExerciseError
from exercises.workspaces.state import DATA_FOLDER
from exercises.workspaces.workspace import Workspace

if TYPE_CHECKING:
    from exercises.workspaces.change import Change

MAX_NAMED = 12
F = TypeVar("F", bound=Callable[..., Any])


def workspace_option(command: F) -> F:
    """Add the option for the workspace's folder."""
    return click.option(
        "--workspace",
        "folder",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="EXERCISES_WORKSPACE",
        help="Folder of the workspace (default: the one you are in, else ./workspace).",
    )(command)


def json_option(command: F) -> F:
    """Add the option for output as JSON."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON value on standard output.")(command)


def yes_option(command: F) -> F:
    """Add the option to skip questions."""
    return click.option("-y", "--yes", is_flag=True, help="Do not ask.")(command)


def course_folder() -> Path:
    """The folder in EXERCISES_COURSE, or else the course of this package."""
    return Path(os.environ.get("EXERCISES_COURSE") or Path(__file__).parents[1])


def find_workspace(folder: Path | None) -> Workspace:
    if folder is None:
        here = Path.cwd()
        folder = next(
            (relpath for relpath in (here, *here.parents) if (relpath / DATA_FOLDER).is_dir()),
            here / "workspace",
        )
    if not files.is_text(str(folder.absolute())):
        raise ExerciseError(
            f"The name of {files.readable(str(folder.absolute()))} is not UTF-8; "
            "choose another folder with --workspace."
        )
    return Workspace(folder, Course(course_folder()))


def open_workspace(folder: Path | None) -> Workspace:
    workspace = find_workspace(folder)
    workspace.require()
    return workspace


def report_change(printer: Printer, change: Change, text: str) -> None:
    if not change.written and not change.removed:
        printer.say(f"{text} No file had to be changed.".strip())
        return
    printer.say(f"{text} {len(change.written)} files written, {len(change.removed)} removed.".strip())
    if change.removed:
        more = len(change.removed) - MAX_NAMED
        printer.say("Removed:")
        printer.lines(sorted(change.removed)[:MAX_NAMED], indent=2)
        if more > 0:
            printer.line(
                f"and {more} more: exercises restore {change.copy.number} brings them back", indent=2
            )
    printer.say(f"Your old files are snapshot {change.copy.number}: exercises restore {change.copy.number}")


def say_what_changed_in_the_course(printer: Printer, workspace: Workspace) -> list[str]:
    """Say that `update` has something to bring; returns the paths."""
    state, version = workspace.state, workspace.course.workshop.version
    merge = workspace.changed_upstream()
    relpaths = sorted({*merge.wanted, *merge.kept})
    if relpaths or state.version != version:
        what = f"{len(relpaths)} files" if relpaths else f"version {version} instead of {state.version}"
        printer.say(f"The course has changed since your exercise began ({what}): exercises update brings it.")
    return relpaths


def next_steps(printer: Printer, step: Step) -> None:
    readme = step.file("README.md")
    shown = os.path.relpath(readme) if readme.is_relative_to(Path.cwd()) else str(readme)
    printer.say("Read this first:")
    printer.line(shown, indent=2)
    printer.say("Then: exercises check, exercises hint, exercises serve")
