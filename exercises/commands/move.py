"""The commands that change which files of the course are in the workspace: next, jump, update, adopt."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from exercises.commands.options import (
    find_workspace,
    json_option,
    next_steps,
    open_workspace,
    report_change,
    workspace_option,
    yes_option,
)
from exercises.commands.output import Printer, title
from exercises.workspaces.upstream import INCOMING
from exercises.workspaces.workspace import Advanced


@click.command("next")
@workspace_option
@json_option
@click.option("--anyway", is_flag=True, help="Go on although the exercise has not passed.")
def next_command(folder: Path | None, as_json: bool, anyway: bool) -> None:
    """Go on to the next exercise with your own code; only the files of that exercise are added."""
    printer, workspace = Printer(as_json=as_json), open_workspace(folder)
    with workspace.locked("next", printer.note):
        moved = workspace.advance(anyway=anyway)
    title(printer, moved.step)
    _report_merge(printer, moved, "this exercise")
    next_steps(printer, moved.step)


@click.command()
@click.argument("exercise", metavar="N")
@workspace_option
@yes_option
def jump(exercise: str, folder: Path | None, yes: bool) -> None:
    """Replace your code by our state of exercise N; your files are copied first."""
    printer, workspace = Printer(), find_workspace(folder)
    step = workspace.course.step(exercise)
    workspace.require()
    with workspace.locked("jump", printer.note):
        if not yes and sys.stdin.isatty():
            click.confirm(
                f"Replace your code by the reference for {step.label} (a copy is made)?", abort=True
            )
        done = workspace.jump(step)
    title(printer, step)
    report_change(printer, done, "")
    next_steps(printer, step)


@click.command()
@workspace_option
@json_option
def update(folder: Path | None, as_json: bool) -> None:
    """Bring what was changed in the course since your exercise began; your own changes stay."""
    printer, workspace = Printer(as_json=as_json), open_workspace(folder)
    with workspace.locked("update", printer.note):
        moved = workspace.update()
    title(printer, moved.step)
    written = [relpath for relpath in moved.change.written if not relpath.endswith(INCOMING)]
    if written:
        printer.say("These files are new or changed in the course, and you had not changed them:")
        printer.lines(written, indent=2)
    _report_merge(printer, moved, "the new version of the course")


@click.command()
@click.argument("exercise", metavar="N")
@workspace_option
def adopt(exercise: str, folder: Path | None) -> None:
    """Make a folder with your files, which lost its hidden folder .exercises, a workspace at exercise N."""
    printer, workspace = Printer(), find_workspace(folder)
    step = workspace.course.step(exercise)
    workspace.adopt(step)
    printer.say(f"{workspace.root} is a workspace at {step.label}. Your files are as they were.")
    next_steps(printer, step)


def _report_merge(printer: Printer, moved: Advanced, who: str) -> None:
    if moved.incoming:
        printer.say(
            f"You and {who} changed the same files. Yours stay. Ours are beside them; merge them by hand:"
        )
        printer.lines([f"{relpath}{INCOMING}" for relpath in moved.incoming], indent=2)
    if moved.kept:
        printer.say(f"These files are removed by {who}. They stay because you changed them:")
        printer.lines(moved.kept, indent=2)
    report_change(printer, moved.change, "")
    printer.data(
        {
            "exercise": moved.step.label,
            "written": moved.change.written,
            "removed": moved.change.removed,
            "incoming": moved.incoming,
            "kept": moved.kept,
            "snapshot": moved.change.copy.number,
        }
    )
