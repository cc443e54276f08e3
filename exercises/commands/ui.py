"""The command ui: the workshop's page in a browser."""

from __future__ import annotations

import webbrowser
from functools import partial
from pathlib import Path

import click

from exercises.commands.options import open_workspace, workspace_option


@click.command()
@workspace_option
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the page (default: a free one).")
@click.option("--no-browser", is_flag=True, help="Print the address only.")
@click.option(
    "--join", "room", metavar="ADDRESS", help="Join your teacher's room, which sees your step and results."
)
@click.option("--code", default="", help="The room's code.")
@click.option("--name", default="", help="How the room calls you.")
def ui(
    folder: Path | None, port: int | None, no_browser: bool, room: str | None, code: str, name: str
) -> None:
    """Show the exercise as a page: text, tasks, differences, hints, results. It runs until Ctrl-C."""
    from exercises.page.app import of_workspace
    from exercises.page.room.membership import come_in, stored
    from exercises.page.serving import serve

    workspace = open_workspace(folder)
    data_dir = workspace.data_dir
    membership = come_in(data_dir, room, code, name) if room else stored(data_dir)
    if membership:
        click.echo(f"You are {membership.nick} in the room at {membership.address}.")
    page = partial(of_workspace, workspace.root, workspace.course.folder)
    serve(page, port, partial(ready, no_browser))
    click.echo("The page is closed.")


def ready(no_browser: bool, url: str) -> None:
    """Say where a page is, and open it."""
    click.echo(f"The page is open at {url}")
    click.echo("It starts commands on this machine, so give its address to nobody. Ctrl-C closes it.")
    if not no_browser:
        webbrowser.open(url)
