"""The command teach: the room of a class."""

from __future__ import annotations

import socket
import webbrowser
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click
import psutil

from exercises.commands.options import course_folder

EVERYWHERE, HERE = "0.0.0.0", "127.0.0.1"  # noqa: S104 -- only when the teacher says --open
FILE = "room.sqlite3"
PORT = 8700


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=PORT, show_default=True, help="Port of the room."
)
@click.option("--open", "is_open", is_flag=True, help="Let other machines in; they need the code.")
@click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=FILE,
    show_default=True,
    help="Where the room keeps who is where.",
)
@click.option("--no-browser", is_flag=True, help="Print the address only.")
def teach(port: int, is_open: bool, file: Path, no_browser: bool) -> None:
    """Open a room: see who is at which step, what stops people, and who asks for help. It runs until Ctrl-C."""
    from exercises.page.room.app import behind_its_door, of_file
    from exercises.page.room.door import new_code
    from exercises.page.serving import serve

    address = f"http://{next(_own_addresses(), HERE) if is_open else HERE}:{port}"
    code = new_code()
    room = partial(of_file, file.absolute(), course_folder(), code, address)
    joining = f"exercises ui --join {address} --code {code} --name NAME"
    host = EVERYWHERE if is_open else HERE
    serve(room, port, partial(ready, no_browser, joining), host=host, guard=behind_its_door)
    click.echo(f"The room is closed. Who was where is in {file}; delete it to forget everybody.")


def ready(no_browser: bool, joining: str, url: str) -> None:
    """Say where the teacher's page is and how learners come in, and open the page."""
    click.echo(f"The room is open at {url}")
    click.echo(f"Learners come in with: {joining}")
    click.echo("Ctrl-C closes it.")
    if not no_browser:
        webbrowser.open(url)


def _own_addresses() -> Iterator[str]:
    """The IPv4 addresses of this machine in its networks."""
    for found in psutil.net_if_addrs().values():
        for each in found:
            if each.family == socket.AF_INET and not each.address.startswith("127."):
                yield each.address
