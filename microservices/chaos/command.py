"""The output and the exit status of `microservices chaos`.

Status 1 means that the shop broke an invariant, and nothing else. An error of this tool has status 2.
"""

from __future__ import annotations

import json
import random
import sys
import traceback
from functools import partial

import click

from microservices.chaos.client import InconclusiveRun
from microservices.chaos.faults import KINDS
from microservices.chaos.report import Result
from microservices.chaos.run import Options, run
from microservices.launcher import LauncherError

CLEAN, BROKEN, TOOL_ERROR, INTERRUPTED = 0, 1, 2, 130


def main(
    seed: int | None, minutes: float, pattern: str | None, *, as_json: bool, only: str | None = None
) -> int:
    """Run and report; returns the exit status."""
    if pattern is not None and not pattern.startswith("postgresql"):
        click.echo(
            f"{pattern!r} is not a PostgreSQL URL; leave the option out to use SQLite files.", err=True
        )
        return TOOL_ERROR
    if only is not None and only not in KINDS:
        click.echo(f"There is no kind of fault {only!r}; choose one of: {', '.join(KINDS)}.", err=True)
        return TOOL_ERROR
    chosen = random.SystemRandom().randrange(100_000) if seed is None else seed
    say = partial(click.echo, err=as_json)
    try:
        result = run(Options(chosen, minutes, pattern, only), say)
    except KeyboardInterrupt:
        say("Interrupted before anything was checked. The shop is closed.")
        return INTERRUPTED
    except (LauncherError, InconclusiveRun) as error:
        click.echo(str(error), err=True)
        return TOOL_ERROR
    except Exception:  # noqa: BLE001 -- an error of this tool, so it prints a traceback
        traceback.print_exc()
        click.echo("The chaos command failed; this says nothing about the shop.", err=True)
        return TOOL_ERROR
    _print(result, as_json=as_json)
    return CLEAN if result.clean else BROKEN


def _print(result: Result, *, as_json: bool) -> None:
    for line in result.lines():
        click.echo(line, err=as_json)
    if as_json:
        json.dump(result.to_dict(), sys.stdout, indent=1)
        sys.stdout.write("\n")
