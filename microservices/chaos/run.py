"""One run of chaos: open a shop, let customers in, break one thing after the other, heal, settle, check."""

from __future__ import annotations

import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from microservices.chaos.arena import opened
from microservices.chaos.crowd import Crowd, admitted
from microservices.chaos.plan import plan
from microservices.chaos.report import Result
from microservices.launcher import default_home

BREATH_SECONDS = 0.5
"""Between two faults, so that a sign belongs to the one before it."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    seed: int
    minutes: float
    pattern: str | None = None
    """URL, with {service} in it, of databases that may be overwritten; None for files in a folder of its own."""


def run(options: Options, say: Say) -> Result:
    """Do all of it. Whatever happens, no process is left; the folder is, unless all was well or Ctrl-C came."""
    home = default_home() / "chaos" / f"{options.seed}-{os.getpid()}"
    result = Result(options.seed, options.minutes, "PostgreSQL" if options.pattern else "SQLite")
    try:
        say(f"Opening a shop in {home} ...")
        with (
            opened(home, cache=default_home(), pattern=options.pattern) as arena,
            admitted(arena, options.seed) as crowd,
        ):
            say(f"Customers are in. Breaking things for {options.minutes:g} min, seed {options.seed}.")
            _break(crowd, options, result, say)
            say("Healing, settling, checking ...")
            result.invariants, result.settled_seconds = crowd.settle()
            _count(crowd, result)
    except KeyboardInterrupt:
        shutil.rmtree(home, ignore_errors=True)
        raise
    if result.clean:
        shutil.rmtree(home, ignore_errors=True)
    else:
        result.kept = str(home)
    return result


def _break(crowd: Crowd, options: Options, result: Result, say: Say) -> None:
    for fault in plan(options.seed):
        if time.monotonic() - crowd.began > options.minutes * 60:
            return
        happened = crowd.suffer(fault)
        result.faults.append(happened)
        say(happened.line())
        time.sleep(BREATH_SECONDS)


def _count(crowd: Crowd, result: Result) -> None:
    history = crowd.load.history
    outcomes: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (persona, outcome), count in history.outcomes.items():
        outcomes[persona][outcome.value] = count
    result.outcomes, result.statuses = dict(outcomes), dict(history.statuses())
    result.failures = history.failures
