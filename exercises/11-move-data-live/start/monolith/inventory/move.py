"""The mover: `exercises run monolith -m monolith.inventory.move COMMAND`.

It copies the stock to the service, and compares both. The copy believes that nobody buys meanwhile.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import click

from ..chassis.config import Config, ConfigError
from ..chassis.database import Database
from . import client, states
from .client import State

AT_A_TIME = 200
MAX_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Difference:
    """A product of which the service has no state, or another one."""

    ours: State
    theirs: State | None

    def __str__(self) -> str:
        ours, theirs = self.ours, self.theirs
        here = f"{ours['sku']}: {ours['available']} in the monolith (version {ours['version']})"
        if theirs is None:
            return f"{here}, not in the service"
        return f"{here}, {theirs['available']} in the service (version {theirs['version']})"


def main() -> None:
    """Run the command; a failure ends with one sentence and exit status 2."""
    try:
        move(prog_name="move")
    except (client.InventoryUnavailable, ConfigError) as error:
        click.echo(error, err=True)
        sys.exit(2)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def move() -> None:
    """Move the stock to the inventory service while the shop sells."""


@move.command()
@click.option(
    "--batch", default=50, show_default=True, type=click.IntRange(1, 500), help="Products at a time."
)
@click.option("--pause", default=0.0, show_default=True, help="Seconds between two batches.")
def copy(batch: int, pause: float) -> None:
    """Copy all stock to the service."""
    everything = list(_all_of_ours(_database()).values())
    for start in range(0, len(everything), batch):
        client.send(everything[start : start + batch])
        click.echo(f"{min(start + batch, len(everything))} copied")
        time.sleep(pause)
    click.echo("The copy is complete.")


@move.command()
def compare() -> None:
    """Say what the service has differently; exit status 1 if it does."""
    sys.exit(1 if _compare(_database()) else 0)


def _compare(database: Database) -> list[Difference]:
    """The differences, printed with the time of day."""
    ours, theirs = _all_of_ours(database), _all_of_theirs()
    found = list(_differing(ours, theirs))
    missing = sum(difference.theirs is None for difference in found)
    now = time.strftime("%H:%M:%S")
    click.echo(
        f"{now} {len(found)} of {len(ours)} products differ, {missing} of them are missing in the service"
    )
    for difference in found[:MAX_SHOWN]:
        click.echo(f"  {difference}")
    return found


def _differing(ours: dict[str, State], theirs: dict[str, State]) -> Iterator[Difference]:
    for sku, mine in ours.items():
        other = theirs.get(sku)
        if other is None or other != mine:
            yield Difference(mine, other)


def _all_of_ours(database: Database) -> dict[str, State]:
    found: dict[str, State] = {}
    with database.reading() as db:
        while some := states.batch(db, max(found, default=""), AT_A_TIME):
            found |= {state["sku"]: state for state in some}
    return found


def _all_of_theirs() -> dict[str, State]:
    found: dict[str, State] = {}
    while some := client.stored(max(found, default=""), AT_A_TIME):
        found |= {state["sku"]: state for state in some}
    return found


def _database() -> Database:
    return Database(Config.from_env(os.environ).database_url)


if __name__ == "__main__":
    main()
