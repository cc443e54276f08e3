"""What a trial does while it runs: a line a second, written by those who know it and read by whoever watches.

The generator must not notice: it appends one line to a file, of numbers that it has anyway, and what is made of them
is the watcher's work, in another process. Nothing here is a result; those come from the whole log afterwards.
"""

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from loadtests.raw import NOT_REPLICAS
from loadtests.stats import percentile
from loadtests.turns import IDLE

if TYPE_CHECKING:
    from rich.console import Console

MOMENTS, REPLICAS = "live.jsonl", "live-replicas"
WINDOW_SECONDS = 5.0
MOST_ROWS = 2000  # a longer look back would hold up the requests that are due meanwhile
LOOK_SECONDS = 0.5
PLAIN_EVERY_SECONDS = 10.0
END_BYTES = 1000

Row = Sequence[Any]
"""A row of the generator's log, in the order of raw.COLUMNS; what could not be started has no start."""


@dataclass(frozen=True)
class Moment:
    """The last seconds before `at` seconds after the start: answers per second, their p95, and what went wrong."""

    at: float
    phase: str
    rate: float
    p95_ms: float | None
    failed: int
    not_started: int
    under_way: int

    def __str__(self) -> str:
        p95 = "no answer" if self.p95_ms is None else f"p95 {self.p95_ms:.0f} ms"
        wrong = f", {self.failed} failed, {self.not_started} not started"
        return f"{self.phase} {self.at:.0f} s: {self.rate:.0f} answers/s, {p95}{wrong}, {self.under_way} under way"


def moment(rows: Sequence[Row], at: float, phase: str, under_way: int, began: float = 0.0) -> Moment:
    """The newest rows of the log in a few numbers; `began` is when the load did that is on the shop now."""
    since = max(began, at - WINDOW_SECONDS)
    newest = rows[-MOST_ROWS:]
    started = [row for row in newest if row[1] != "" and row[2] >= since]
    waits = [(row[2] - row[0]) * 1000 for row in started if row[7]]
    # Fewer seconds are seen where there were more rows than may be looked at, and at the start.
    seconds = at - max(since, started[0][2] if len(newest) == MOST_ROWS and started else 0.0)
    return Moment(
        at=round(at, 1),
        phase=phase,
        rate=round(len(waits) / seconds, 1) if seconds > 0 else 0.0,
        p95_ms=round(percentile(waits, 0.95), 1) if waits else None,
        failed=len(started) - len(waits),
        not_started=sum(row[1] == "" and row[0] >= since for row in newest),
        under_way=under_way,
    )


def append(folder: Path, now: Moment) -> None:
    """Write a line; a full disk must not end the trial, which will say so itself."""
    with contextlib.suppress(OSError), (folder / MOMENTS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(now)) + "\n")


def replicas_into(folder: Path) -> Callable[[Collection[str]], None]:
    """For the sampler: notes how many replicas there are, when that changes."""
    known = -1

    def note(names: Collection[str]) -> None:
        nonlocal known
        count = sum(name not in NOT_REPLICAS for name in names)
        if count != known:
            known = count
            with contextlib.suppress(OSError):
                (folder / REPLICAS).write_text(str(count), encoding="utf-8")

    return note


def last(folder: Path) -> Moment | None:
    """The newest whole line of a trial; None before there is one."""
    try:
        with (folder / MOMENTS).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - END_BYTES))
            lines = file.read().decode("utf-8", "replace").rpartition("\n")[0].splitlines()
        return Moment(**json.loads(lines[-1]))
    except (OSError, ValueError, TypeError, IndexError):
        return None


def said(trials: Mapping[Path, str]) -> str:
    """The line to show of the trials in these folders, of those that take turns the one that has it; may be empty."""
    moments = {folder: now for folder in trials if (now := last(folder))}
    shown = next((folder for folder, now in moments.items() if now.phase != IDLE), None)
    if shown is None:
        return ""
    whose = f"{trials[shown]}, " if len(trials) > 1 else ""
    try:
        count = int((shown / REPLICAS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"{whose}{moments[shown]}"
    return f"{whose}{moments[shown]}, {count} replica{'' if count == 1 else 's'}"


class Watch(threading.Thread):
    """Shows the step that a run is at and the trial's newest line: on one place of a terminal, or as plain lines."""

    def __init__(self, console: "Console", every: float = PLAIN_EVERY_SECONDS) -> None:
        from rich.status import Status  # the generator, which writes the lines, does without

        super().__init__(name="watch", daemon=True)
        self._console, self._every = console, every
        self._step, self._trials = "starting", dict[Path, str]()
        self._ended = threading.Event()
        # Drawn seldom: this process shares the machine with what it measures.
        self._status = (
            Status(self._step, console=console, refresh_per_second=2) if console.is_terminal else None
        )

    def step(self, text: str, trials: Mapping[Path, str]) -> None:
        """What is done now, and in which folders which trials run; said at once."""
        self._step, self._trials = text, dict(trials)
        if self._status:
            self._status.update(text)
        else:
            self._console.print(text, soft_wrap=True, highlight=False, markup=False)

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._ended.set()
        self.join()
        if self._status:
            self._status.stop()

    def run(self) -> None:
        """Look for a new line until the watch ends."""
        shown, when = "", 0.0
        while not self._ended.wait(LOOK_SECONDS):
            line = said(self._trials)
            if not line or line == shown:
                continue
            if self._status:
                self._status.update(f"{self._step}\n  {line}")
                shown = line
            elif time.monotonic() - when >= self._every:
                self._console.print(f"  {line}", soft_wrap=True, highlight=False, markup=False)
                shown, when = line, time.monotonic()
                sys.stdout.flush()
