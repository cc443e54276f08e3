"""The commands serve and shop: the learner's shop runs, and is looked at and broken from another terminal."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exercises.commands.options import F, open_workspace, workspace_option
from exercises.commands.output import Printer
from exercises.commands.run import ENVIRONMENTS, write_environments
from exercises.errors import ExerciseError
from exercises.workspaces.workspace import Workspace

if TYPE_CHECKING:
    from exercises.checks.open_shop import OpenShop

SERVE_PORT = 8000
LOAD = "load"
SERVED = "serve"
"""The folder of a workspace's data with the shops that are served."""


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
@click.option(
    "--copy", default="", metavar="FOLDER", help="Run the shop in this folder of the workspace instead."
)
def serve(folder: Path | None, port: int, seed: int, copy: str) -> None:
    """Run your shop with new data until Ctrl-C, and show its log."""
    from microservices.launcher.logs import LogEcho, LogTail, Prefix

    workspace = open_workspace(folder)
    with served(workspace, port=port, seed=seed, copy=copy) as shop, _steered(shop):
        members = shop.logs()
        prefix = Prefix(max(map(len, members)), colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
        logs = next(iter(members.values())).path.parent
        with LogEcho(LogTail(logs), lambda label, line: click.echo(prefix(label, line))):
            stay_open(click.echo, shop.url)
    click.echo("Your shop is closed.")


def of_option(command: F) -> F:
    """Add the option to mean one of the reference shops."""
    return click.option(
        "--of",
        "kind",
        type=click.Choice(["monolith", "microservices"]),
        help="The reference shop that `exercises show` has opened, instead of yours.",
    )(command)


@click.group(invoke_without_command=True)
@workspace_option
@of_option
@click.pass_context
def shop(context: click.Context, folder: Path | None, kind: str | None) -> None:
    """Look at the shop that `exercises serve` runs: its processes; or scale it and break it with a command below."""
    found = context.obj = _look(folder, kind)[0]()
    if context.invoked_subcommand is None:
        printer = Printer()
        for member in found.members:
            printer.item(
                found.phase(member), f"{member.label} (pid {member.pid}, port {member.port})", width=10
            )
        printer.say(f"{'The' if kind else 'Your'} shop is open at {found.url}")


@shop.command()
@click.argument("scale", metavar="NAME=N")
@click.pass_obj
def scale(found: Any, scale: str) -> None:
    """Change service NAME to N replicas, without losing a request."""
    name, _, number = scale.partition("=")
    if not number.isascii() or not number.isdigit():
        raise ExerciseError(f"{scale!r} is not NAME=N, such as recommendations=4.")
    labels = found.command(command="scale", name=name, count=int(number))
    click.echo(
        f"{name} now has {number} replica{'' if number == '1' else 's'}: {', '.join(labels) or 'none'}."
    )


@shop.command()
@click.argument("name")
@click.pass_obj
def restart(found: Any, name: str) -> None:
    """Replace the replicas of service NAME one after another, without losing a request."""
    labels = found.command(command="restart", name=name)
    click.echo(f"{name} was restarted: {', '.join(labels) or 'it has no replica'}.")


@shop.command()
@click.argument("name")
@click.pass_obj
def kill(found: Any, name: str) -> None:
    """Kill the processes of NAME, a service, a replica or the gateway; the launcher starts them again."""
    again = "the launcher starts it again" if found.steered else "nobody starts it again: exercises serve"
    click.echo(f"Killed {', '.join(found.kill(name))} (SIGKILL); {again}.")


@shop.command()
@click.argument("name")
@click.pass_obj
def pause(found: Any, name: str) -> None:
    """Pause the processes of NAME: connections open, and no answer comes."""
    click.echo(f"Paused {', '.join(found.pause(name))}; exercises shop resume {name} lets it go on.")


@shop.command()
@click.argument("name")
@click.option(
    "--share",
    type=click.FloatRange(0.02, 0.9),
    default=0.1,
    show_default=True,
    help="The share of the time that they work.",
)
@click.option(
    "--seconds", type=click.FloatRange(1, 3600), default=60.0, show_default=True, help="For how long."
)
@click.pass_obj
def slow(found: Any, name: str, share: float, seconds: float) -> None:
    """Slow the processes of NAME: they answer, late. It lasts for a minute, until Ctrl-C, or until `resume`."""
    labels = ", ".join(member.label for member in found.named(name))
    click.echo(f"{labels} works {share:.0%} of the time; exercises shop resume {name} ends it.")
    found.slow(name, share, seconds)
    click.echo(f"{labels} is as fast as before.")


@shop.command()
@click.argument("name")
@click.pass_obj
def resume(found: Any, name: str) -> None:
    """Let paused or slowed processes of NAME go on."""
    click.echo(f"{', '.join(found.resume(name))} goes on.")


@shop.command()
@click.pass_obj
def close(found: Any) -> None:
    """Close the shop, as Ctrl-C does where it was opened."""
    found.close()
    click.echo("Your shop is closing.")


@click.command()
@workspace_option
@of_option
@click.option(
    "--rate", type=click.FloatRange(0.5, 100), default=8.0, show_default=True, help="Visits a second."
)
@click.option(
    "--spike",
    type=click.FloatRange(1, 50),
    default=6.0,
    show_default=True,
    help="So many times as many ask for recommendations in the middle third.",
)
@click.option(
    "--seconds", type=click.FloatRange(6, 600), default=60.0, show_default=True, help="The length of the run."
)
def load(folder: Path | None, kind: str | None, rate: float, spike: float, seconds: float) -> None:
    """Send visitors to the shop that `exercises serve` runs, and show each second what they notice."""
    from exercises.checks import load_run
    from loadtests.load.moments import Moment

    look, place = _look(folder, kind)

    def show(point: load_run.Point) -> None:
        count = point["replicas"]
        moment = Moment(**{name: value for name, value in point.items() if name != "replicas"})
        click.echo(f"{moment}, {count} replica{'' if count == 1 else 's'}")

    mix = load_run.Mix(rate, spike, seconds)
    click.echo(f"Visitors come to {look().url} for {seconds:.0f} s; Ctrl-C ends it.")
    load_run.run(look, place, mix, show)


def _look(folder: Path | None, kind: str | None) -> tuple[Callable[[], OpenShop], Path]:
    """What gives the shop as it is now, and the folder for its load."""
    from exercises.checks import open_shop, reference

    if kind is not None:
        return partial(reference.require, kind), reference.load_folder(kind)
    data_dir = open_workspace(folder).data_dir
    return partial(open_shop.require, data_dir / SERVED), data_dir / LOAD


@contextmanager
def _steered(shop: Any) -> Iterator[None]:
    """Other processes can look at the shop and scale it meanwhile."""
    from exercises.checks.open_shop import describe
    from microservices.launcher.control import ControlServer

    if shop.fleet is None:
        yield
        return
    describe(shop.fleet)
    with ControlServer(shop.fleet):
        yield


@contextmanager
def served(workspace: Workspace, *, port: int | None, seed: int, copy: str = "") -> Iterator[Any]:
    """The shop of the workspace, or of a folder of it; it ends with the block."""
    from exercises.checks.leftovers import sweep
    from exercises.checks.seeding import Seeds
    from exercises.checks.shops import RunningShop, ShopSpec

    code, home = workspace.root / copy, workspace.data_dir / SERVED
    if not (code / "monolith").is_dir():
        raise ExerciseError(f"There is no shop in {code}: its folder monolith is missing.")
    sweep(home)
    number = f"{os.getpid()}"
    seeds = Seeds(home, seed)
    shop = RunningShop(ShopSpec(code, home / "shops" / number, seeds, port=port, restart=True))
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
