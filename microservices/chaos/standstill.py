"""Stops the time of processes: connections to them still open, and nobody answers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

LONGEST_STOP_SECONDS = 2.0
"""For a stop to be obeyed; a process that waits for a disk obeys later than that."""


@contextmanager
def standing_still(pids: list[int]) -> Iterator[None]:
    """Processes stand still while the block runs.

    On a busy machine a stop is sent before it is obeyed, and what is asked in between is still answered: the block
    begins when all have obeyed.
    """
    for pid in pids:
        _send(pid, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + LONGEST_STOP_SECONDS
        while any(map(_runs, pids)) and time.monotonic() < deadline:
            time.sleep(0.001)
        yield
    finally:
        for pid in pids:
            _send(pid, signal.SIGCONT)


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() not in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}
    except psutil.NoSuchProcess:
        return False
