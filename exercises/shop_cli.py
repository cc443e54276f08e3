"""The commands about the running shop and the machine: serve, doctor."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from exercises.errors import Exit
from exercises.options import find_workspace, json_option, open_workspace, workspace_option
from exercises.output import Printer
from exercises.workspace import Workspace

SERVE_PORT = 8000


@click.command()
@workspace_option
@click.option(
    "--port", type=click.IntRange(1, 65535), default=SERVE_PORT, show_default=True, help="Port of the shop."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**31), default=1, show_default=True, help="Which data, as a check says."
)
def serve(folder: Path | None, port: int, seed: int) -> None:
    """Run your shop with fresh data until Ctrl-C, and show what it writes."""
    from microservices.launcher.logs import LogEcho, LogTail, Prefix

    workspace = open_workspace(folder)
    with served(workspace, port=port, seed=seed) as shop:
        members = shop.logs()
        prefix = Prefix(max(map(len, members)), colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
        logs = next(iter(members.values())).path.parent
        with LogEcho(LogTail(logs), lambda label, line: click.echo(prefix(label, line))):
            stay_open(click.echo, shop.url)
    click.echo("Your shop is closed.")


@click.command()
@workspace_option
@json_option
@click.option("--repair", is_flag=True, help="Make a broken state file again from its copy or a snapshot.")
def doctor(folder: Path | None, as_json: bool, repair: bool) -> None:
    """Look at Python, ports, disk, leftovers, the machine's load and the workspace's health."""
    from exercises import doctor as surgery

    printer, workspace = Printer(as_json=as_json), find_workspace(folder)
    if repair:
        printer.say(surgery.repair(workspace) or "The state file is whole; nothing was repaired.")
    findings = []
    for finding in surgery.examine(workspace):
        printer.item(finding.verdict, f"{finding.what}: {finding.says}", width=9)
        findings.append({"what": finding.what, "verdict": finding.verdict, "says": finding.says})
    printer.data(findings)
    sys.exit(Exit.NOT_YET if any(f["verdict"] == surgery.WRONG for f in findings) else Exit.PASS)


@contextmanager
def served(workspace: Workspace, *, port: int | None, seed: int) -> Iterator[Any]:
    from exercises.bench import sweep
    from exercises.seeding import Seeds
    from exercises.shops import Order, RunningShop

    home = workspace.own / "serve"
    sweep(home)
    number = f"{os.getpid()}"
    seeds = Seeds(home, seed)
    shop = RunningShop(Order(workspace.root, home / "shops" / number, seeds, port=port, restart=True))
    try:
        shop.start()
        yield shop
    finally:
        shop.stop()
        sweep(home)
        seeds.tidy()


def stay_open(say: Callable[[str], object], url: str) -> None:
    """Say that the shop is open, and wait for Ctrl-C: it may come before the sentence is out."""
    with suppress(KeyboardInterrupt):
        say(f"Your shop is open at {url}; Ctrl-C closes it.")
        threading.Event().wait()
