"""The command serve, and running the learner's shop for a command."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from exercises.commands.options import open_workspace, workspace_option
from exercises.workspaces.workspace import Workspace

SERVE_PORT = 8000


@click.command()
@workspace_option
@click.option(
    "--port", type=click.IntRange(1, 65535), default=SERVE_PORT, show_default=True, help="Port of the shop."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31),
    default=1,
    show_default=True,
    help="Seed of the data; a failed check prints its own.",
)
def serve(folder: Path | None, port: int, seed: int) -> None:
    """Run your shop with new data until Ctrl-C, and show its log."""
    from microservices.launcher.logs import LogEcho, LogTail, Prefix

    workspace = open_workspace(folder)
    with served(workspace, port=port, seed=seed) as shop:
        members = shop.logs()
        prefix = Prefix(max(map(len, members)), colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
        logs = next(iter(members.values())).path.parent
        with LogEcho(LogTail(logs), lambda label, line: click.echo(prefix(label, line))):
            stay_open(click.echo, shop.url)
    click.echo("Your shop is closed.")


@contextmanager
def served(workspace: Workspace, *, port: int | None, seed: int) -> Iterator[Any]:
    from exercises.checks.leftovers import sweep
    from exercises.checks.seeding import Seeds
    from exercises.checks.shops import RunningShop, ShopSpec

    home = workspace.data_dir / "serve"
    sweep(home)
    number = f"{os.getpid()}"
    seeds = Seeds(home, seed)
    shop = RunningShop(ShopSpec(workspace.root, home / "shops" / number, seeds, port=port, restart=True))
    try:
        shop.start()
        yield shop
    finally:
        shop.stop()
        sweep(home)
        seeds.prune_cache()


def stay_open(say: Callable[[str], object], url: str) -> None:
    """Say that the shop is open, and wait for Ctrl-C, which may come before the sentence is printed."""
    with suppress(KeyboardInterrupt):
        say(f"Your shop is open at {url}; Ctrl-C closes it.")
        threading.Event().wait()
