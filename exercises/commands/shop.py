"""The commands serve and run, and running the learner's shop for a command."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from exercises.commands.options import open_workspace, workspace_option
from exercises.errors import ExerciseError
from exercises.workspaces.workspace import Workspace

SERVE_PORT = 8000
ENVIRONMENTS = "environments.json"
"""In the folder of a served shop: the environment of each service, with its key, so only its owner may read it."""


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


@click.command(context_settings={"allow_interspersed_args": False})
@workspace_option
@click.argument("service")
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED)
def run(folder: Path | None, service: str, arguments: tuple[str, ...]) -> None:
    """Run Python with ARGUMENTS beside the shop that `exercises serve` runs, with all that SERVICE is given there: its
    database, its key, and the addresses of the services that it calls.

    For example: exercises run monolith -m monolith.inventory.move --help
    """
    workspace = open_workspace(folder)
    env = _environment(workspace, service)
    os.chdir(workspace.root)
    os.execve(sys.executable, [sys.executable, *arguments], env)  # noqa: S606 -- no shell, and the learner's own code


def _environment(workspace: Workspace, service: str) -> dict[str, str]:
    """The environment of a service of the shop that is served from this workspace; ExerciseError without one."""
    written = sorted(
        (workspace.data_dir / "serve" / "shops").glob(f"*/{ENVIRONMENTS}"),
        key=lambda file: file.stat().st_mtime,
    )
    if not written:
        raise ExerciseError("Your shop is not being served; start exercises serve in another terminal first.")
    found: dict[str, dict[str, str]] = json.loads(written[-1].read_text(encoding="utf-8"))
    if service not in found:
        raise ExerciseError(f"Your shop has no service {service}; its services are {', '.join(found)}.")
    return found[service]


def write_environments(shop: Any, file: Path) -> None:
    """Write what `run` needs. A monolith that runs alone has no other services, and no file."""
    if shop.fleet:
        services = [service.name for service in shop.fleet.topology.services]
        file.touch(mode=0o600)
        file.write_text(json.dumps({name: shop.environment(name) for name in services}), encoding="utf-8")


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
        write_environments(shop, home / "shops" / number / ENVIRONMENTS)
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
