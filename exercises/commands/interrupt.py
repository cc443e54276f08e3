"""Ends the command at the first Ctrl-C, within seconds, whatever it waits for.

First the command ends as it would by itself: its processes are asked to end and its files are removed. What still runs
after that is killed. A command that even then waits, such as for a thread of a check, is ended; the next command
removes what it left.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType

import click
import psutil

from exercises.errors import Exit

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ASKED_SECONDS, KILLED_SECONDS = 1.2, 1.6
AGAIN_SECONDS = 0.1
said = threading.Event()
"""Set when the command has said how it ended."""


def stop_at_the_first_signal() -> None:
    """Raise KeyboardInterrupt at the first signal and ignore further ones, so that the command can end."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in NUMBERS:
            signal.signal(number, signal.SIG_IGN)
        threading.Thread(target=_end_what_stays, name="end", daemon=True).start()
        raise KeyboardInterrupt

    for number in NUMBERS:
        signal.signal(number, interrupt)


def _end_what_stays() -> None:
    time.sleep(ASKED_SECONDS)
    deadline = time.monotonic() + KILLED_SECONDS
    while time.monotonic() < deadline:  # a thread may start another process after the first ones are gone
        _kill_descendants()
        time.sleep(AGAIN_SECONDS)
    sys.stdout.flush()
    if not said.is_set():
        click.echo("\nStopped.", err=True)
    os._exit(Exit.INTERRUPTED)


def _kill_descendants() -> None:
    for process in psutil.Process().children(recursive=True):
        try:
            process.kill()
        except psutil.Error:
            continue  # it ended meanwhile
