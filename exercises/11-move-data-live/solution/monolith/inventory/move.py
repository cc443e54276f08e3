"""The mover: `exercises run monolith -m monolith.inventory.move COMMAND`.

It copies the stock to the service while the shop sells, compares both, repairs what differs, and switches the reads.
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
from . import client, reads, states
from .client import State

BOOKMARK = "copied"
AT_A_TIME = 200
ON_ITS_WAY_SECONDS = 1.0
"""What still differs after this time is no change that is only on its way."""
MAX_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Difference:
    """A product of which the service has no state, or one that the monolith has not had since we looked."""

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
    """Copy all stock to the service; after an interruption, go on where it stopped."""
    database = _database()
    with database.reading() as db:
        after = states.note(db, BOOKMARK)
    if after:
        click.echo(f"Going on after {after}.")
    copied = 0
    while True:
        with database.reading() as db:
            found = states.batch(db, after, batch)
        if not found:
            break
        client.send(found)
        after = found[-1]["sku"]
        with database.writing() as db:
            states.remember(db, BOOKMARK, after)
        copied += len(found)
        click.echo(f"{copied} copied, up to {after}")
        time.sleep(pause)
    with database.writing() as db:
        states.remember(db, BOOKMARK, "")
    click.echo("The copy is complete.")


@move.command()
@click.option(
    "--until-equal", "seconds", default=0.0, help="Look again until both are equal, for so many seconds."
)
def compare(seconds: float) -> None:
    """Say what the service has differently; exit status 1 if it does."""
    database = _database()
    deadline = time.monotonic() + seconds
    while found := _compare(database):
        if time.monotonic() >= deadline:
            break
    sys.exit(1 if found else 0)


@move.command()
def repair() -> None:
    """Send again what the service has differently."""
    database = _database()
    found = _compare(database)
    with database.writing() as db:
        for theirs in (difference.theirs for difference in found):
            if theirs:
                states.reach(db, theirs["sku"], theirs["version"])  # the service ignores a lower version
    skus = [difference.ours["sku"] for difference in found]
    for start in range(0, len(skus), AT_A_TIME):
        with database.reading() as db:
            client.send(states.some(db, skus[start : start + AT_A_TIME]))
    click.echo(f"{len(skus)} sent again.")


@move.command("reads")
@click.argument("side", type=click.Choice(["monolith", reads.SERVICE]))
def switch(side: str) -> None:
    """Let SIDE answer how many of a product there are; the service only if it has no differences."""
    database = _database()
    if side == reads.SERVICE and _compare(database):
        click.echo("The reads stay where they are: run copy or repair first.")
        sys.exit(1)
    with database.writing() as db:
        states.remember(db, reads.NOTE, side)
    click.echo(f"The {side} answers now.")


def _compare(database: Database) -> list[Difference]:
    """The differences, printed with the time of day."""
    ours, theirs = _all_of_ours(database), _all_of_theirs()
    found = list(_differing(ours, theirs, ours))
    if found:
        # Between the two reads people have bought. What arrives now was only on its way.
        time.sleep(ON_ITS_WAY_SECONDS)
        theirs, now = _all_of_theirs(), _all_of_ours(database)
        found = list(_differing({d.ours["sku"]: d.ours for d in found}, theirs, now))
    missing = sum(difference.theirs is None for difference in found)
    now = time.strftime("%H:%M:%S")
    click.echo(
        f"{now} {len(found)} of {len(ours)} products differ, {missing} of them are missing in the service"
    )
    for difference in found[:MAX_SHOWN]:
        click.echo(f"  {difference}")
    return found


def _differing(
    before: dict[str, State], theirs: dict[str, State], after: dict[str, State]
) -> Iterator[Difference]:
    """A state that ours became after `before` and before `after` is no difference: it was sent meanwhile."""
    for sku, first in before.items():
        last, other = after[sku], theirs.get(sku)
        if other in (first, last):
            continue
        if other is None or not first["version"] < other["version"] < last["version"]:
            yield Difference(last, other)


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
