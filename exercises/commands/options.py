"""What several commands share: options, finding the workspace, and the messages at their end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from exercises.commands.output import Printer
from exercises.course.course import Course, Step
from exercises.workspaces.workspace import DATA_FOLDER, Workspace

if TYPE_CHECKING:
    from exercises.workspaces.change import Change

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
    printer.say(f"Your old files are snapshot {change.copy.number}: exercises restore {change.copy.number}")


def next_steps(printer: Printer, step: Step) -> None:
    readme = step.file("README.md")
    shown = os.path.relpath(readme) if readme.is_relative_to(Path.cwd()) else str(readme)
    printer.say("Read this first:")
    printer.line(shown, indent=2)
    printer.say("Then: exercises check, exercises hint, exercises serve")
