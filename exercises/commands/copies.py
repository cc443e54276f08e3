"""The commands for copies of a workspace: reset, save, restore."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from exercises import files
from exercises.commands.options import (
    json_option,
    open_workspace,
    report_change,
    workspace_option,
    yes_option,
)
from exercises.commands.output import Printer


@click.command()
@click.argument("file", required=False)
@workspace_option
@yes_option
def reset(file: str | None, folder: Path | None, yes: bool) -> None:
    """Set FILE, or everything, back to how it was when this exercise began; your files are copied first."""
    printer, workspace = Printer(), open_workspace(folder)
    relpath = workspace.relpath(file) if file else None
    with workspace.locked("reset", printer.note):
        if not yes and sys.stdin.isatty():
            what = relpath or f"everything to the beginning of {workspace.step.label}"
            click.confirm(f"Reset {what} (a copy is made)?", abort=True)
        report_change(
            printer,
            workspace.reset(relpath),
            f"{relpath or 'The workspace'} is as it was when this exercise began.",
        )


@click.command()
@click.argument("note", nargs=-1)
@workspace_option
@json_option
def save(note: tuple[str, ...], folder: Path | None, as_json: bool) -> None:
    """Copy everything as it is now, with a NOTE to recognise the copy."""
    printer, workspace = Printer(as_json=as_json), open_workspace(folder)
    with workspace.locked("save", printer.note):
        snapshot = workspace.save(" ".join(note) or "saved by you")
    printer.say(
        f"Copied {len(snapshot.files)} files as snapshot {snapshot.number}: exercises restore {snapshot.number}"
    )
    for relpath in snapshot.left_out:
        printer.say(f"Not copied because it is too large: {relpath}")
    for name in files.unreadable_names(workspace.root):
        printer.say(f"Not copied because its name is not UTF-8: {name}")
    printer.data({"snapshot": snapshot.number, "files": len(snapshot.files), "left_out": snapshot.left_out})


@click.command()
@click.argument("number", type=int, required=False)
@click.argument("file", required=False)
@workspace_option
@json_option
def restore(number: int | None, file: str | None, folder: Path | None, as_json: bool) -> None:
    """List the copies, or set everything (or FILE) back to copy NUMBER; your files are copied first."""
    printer, workspace = Printer(as_json=as_json), open_workspace(folder)
    if number is None:
        rows: list[dict[str, Any]] = [
            {
                "snapshot": snapshot.number,
                "at": snapshot.at,
                "exercise": snapshot.state.exercise if snapshot.state else "",
                "why": snapshot.why,
                "files": len(snapshot.files),
            }
            for snapshot in workspace.store.all()
        ]
        for row in rows:
            at = row["at"].astimezone().strftime("%b %d %H:%M:%S")
            printer.item(str(row["snapshot"]), f"{at}, {row['exercise'] or 'unknown'}: {row['why']}", width=5)
        printer.data(rows)
        return
    relpath = workspace.relpath(file) if file else None
    with workspace.locked("restore", printer.note):
        done = workspace.restore(number, relpath)
    report_change(printer, done, f"{relpath or 'The workspace'} is as in snapshot {number}.")
    printer.data({"written": done.written, "removed": done.removed, "snapshot": done.copy.number})
