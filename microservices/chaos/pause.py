"""Pauses processes with SIGSTOP: connections to them still open, but no answer comes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

MAX_STOP_SECONDS = 2.0
"""How long to wait until processes have stopped. A process that waits for a disk may stop later."""


@contextmanager
def paused_processes(pids: list[int]) -> Iterator[None]:
    """Pause processes while the block runs.

    On a busy machine a process stops some time after the signal was sent, and answers until then. So the block begins
    when all have stopped.
    """
    for pid in pids:
        _send(pid, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + MAX_STOP_SECONDS
        while any(map(_is_running, pids)) and time.monotonic() < deadline:
            time.sleep(0.001)
        yield
    finally:
        for pid in pids:
            _send(pid, signal.SIGCONT)


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() not in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}
    except psutil.NoSuchProcess:
        return False
