"""What a trial does while it runs, shown on the terminal: one line a second, written by the trial's processes.

The load generator must not be slowed down by this. It only appends a line of numbers that it already has to a file
(`loadtests.load.moments`); another process reads and shows it. Nothing here is a result: results come from the whole
log afterwards.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status

from loadtests.analysis.records import NOT_REPLICAS
from loadtests.load.moments import last
from loadtests.planning.phases import IDLE

REPLICAS = "live-replicas"
POLL_SECONDS = 0.5
PLAIN_EVERY_SECONDS = 10.0


def replicas_recorder(folder: Path) -> Callable[[Collection[str]], None]:
    """For the sampler: a function that writes the number of replicas to a file when it changes."""
    known = -1

    def record(names: Collection[str]) -> None:
        nonlocal known
        count = sum(name not in NOT_REPLICAS for name in names)
        if count != known:
            known = count
            with contextlib.suppress(OSError):
                (folder / REPLICAS).write_text(str(count), encoding="utf-8")

    return record


def status_line(trials: Mapping[Path, str]) -> str:
    """The newest line of the trials in these folders, given with their labels; "" before there is one.

    Of shops that take turns, it is the line of the one under load.
    """
    moments = {folder: now for folder in trials if (now := last(folder))}
    shown = next((folder for folder, now in moments.items() if now.phase != IDLE), None)
    if shown is None:
        return ""
    label = f"{trials[shown]}, " if len(trials) > 1 else ""
    try:
        count = int((shown / REPLICAS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"{label}{moments[shown]}"
    return f"{label}{moments[shown]}, {count} replica{'' if count == 1 else 's'}"


class ProgressDisplay(threading.Thread):
    """Shows a run's current step and its trial's newest line: in place on a terminal, as plain lines elsewhere.

    `every` is the least time between two plain lines of a trial, in seconds.
    """

    def __init__(self, console: Console, every: float = PLAIN_EVERY_SECONDS) -> None:
        super().__init__(name="progress", daemon=True)
        self._console, self._every = console, every
        self._step, self._trials = "starting", dict[Path, str]()
        self._ended = threading.Event()
        # Drawn only twice a second: this process shares the machine with what it measures.
        self._status = (
            Status(self._step, console=console, refresh_per_second=2) if console.is_terminal else None
        )

    def step(self, text: str, trials: Mapping[Path, str]) -> None:
        """Show at once what is done now; `trials` are the folders of the running trials, with their labels."""
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
        """Show new lines until the display ends."""
        shown, when = "", 0.0
        while not self._ended.wait(POLL_SECONDS):
            line = status_line(self._trials)
            if not line or line == shown:
                continue
            if self._status:
                self._status.update(f"{self._step}\n  {line}")
                shown = line
            elif time.monotonic() - when >= self._every:
                self._console.print(f"  {line}", soft_wrap=True, highlight=False, markup=False)
                shown, when = line, time.monotonic()
                sys.stdout.flush()
