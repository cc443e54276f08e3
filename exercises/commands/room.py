"""The commands room: a learner's part in the teacher's room, without the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from exercises.commands.options import open_workspace, workspace_option
from exercises.errors import ExerciseError


@click.group(invoke_without_command=True)
@workspace_option
@click.pass_context
def room(context: click.Context, folder: Path | None) -> None:
    """See which room you are in, and say there how it goes with a command below. `exercises ui --join` comes in."""
    from exercises.page.room.membership import require

    workspace = context.obj = open_workspace(folder)
    membership = require(workspace.data_dir)
    if context.invoked_subcommand is None:
        feeling = f"; it hears that you are {membership.feeling}" if membership.feeling else ""
        click.echo(f"You are {membership.nick} in the room at {membership.address}{feeling}.")


@room.command()
@click.pass_obj
def stuck(workspace: Any) -> None:
    """Tell your teacher that you are stuck; the same again takes it back."""
    _feel(workspace, "stuck")


@room.command()
@click.pass_obj
def done(workspace: Any) -> None:
    """Tell your teacher that you are done; the same again takes it back."""
    _feel(workspace, "done")


@room.command()
@click.pass_obj
def leave(workspace: Any) -> None:
    """Leave the room and be forgotten there."""
    import requests

    from exercises.page.room.membership import forget, require

    membership = require(workspace.data_dir)
    forget(workspace.data_dir)
    try:
        membership.leave()
    except requests.RequestException:
        raise ExerciseError(
            "The room does not answer, so it could not forget you. It hears nothing more of you."
        ) from None
    click.echo("You have left the room, and it has forgotten you.")


def _feel(workspace: Any, feeling: str) -> None:
    import requests

    from exercises.page.room.membership import require, store
    from exercises.page.room.teller import FORGOTTEN, where

    before = require(workspace.data_dir)
    now = before.model_copy(update={"feeling": "" if before.feeling == feeling else feeling})
    store(workspace.data_dir, now)
    try:
        known = now.tell(where(workspace).model_copy(update={"feeling": now.feeling}))
    except requests.RequestException:
        raise ExerciseError(
            f"The room at {now.address} does not answer. While exercises ui runs, it is asked again."
        ) from None
    if not known:
        raise ExerciseError(FORGOTTEN)
    told = f"you are {feeling}" if now.feeling else f"you are not {feeling} any more"
    click.echo(f"Your teacher sees that {told}.")
