"""What a trial does while it runs: a line a second, written by those who know it and read by whoever watches.

The generator must not notice: it appends one line to a file, of numbers that it has anyway, and what is made of them
is the watcher's work, in another process. Nothing here is a result; those come from the whole log afterwards.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from loadtests.analysis.records import NOT_REPLICAS
from loadtests.load.moments import last
from loadtests.planning.phases import IDLE

if TYPE_CHECKING:
    from rich.console import Console

REPLICAS = "live-replicas"
LOOK_SECONDS = 0.5
PLAIN_EVERY_SECONDS = 10.0


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
