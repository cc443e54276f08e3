"""Makes running processes slow: they are stopped and continued five times a second, and work a share of the time.

They still answer, only late, as a service on an overloaded machine does. A file for each says so while it lasts.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from microservices.launcher.process import created

CYCLE_SECONDS = 0.2
"""Short beside the probes of the gateway, which must not take a slow process for a dead one."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The file that says that a process is slowed, and by whom. Without it the slowing ends."""

    file: Path

    def write(self) -> None:
        """Say that this process slows it."""
        self.file.write_text(_owner(os.getpid()), encoding="utf-8")

    def is_ours(self) -> bool:
        """Whether this process slows it."""
        return self._read() == _owner(os.getpid())

    def holds(self) -> bool:
        """Whether somebody slows it: one who was killed does not."""
        pid, _, _ = (text := self._read()).partition(" ")
        return pid.isdigit() and text == _owner(int(pid))

    def remove(self) -> bool:
        """End the slowing; False when there is none."""
        held = self.holds()
        self.file.unlink(missing_ok=True)
        return held

    def _read(self) -> str:
        try:
            return self.file.read_text(encoding="utf-8")
        except OSError:
            return ""


def slow_down(processes: Sequence[tuple[int, Mark]], share: float, seconds: float) -> None:
    """Let process groups work this share of the time (0 to 1), until the time is over or each one's mark is removed."""
    for _, mark in processes:
        mark.write()
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            slowed = [pid for pid, mark in processes if mark.is_ours() and psutil.pid_exists(pid)]
            if not slowed:
                return
            _signal(slowed, signal.SIGSTOP)
            time.sleep(CYCLE_SECONDS * (1 - share))
            _signal(slowed, signal.SIGCONT)
            time.sleep(CYCLE_SECONDS * share)
    finally:
        ours = [(pid, mark) for pid, mark in processes if mark.is_ours()]
        _signal((pid for pid, _ in ours), signal.SIGCONT)
        for _, mark in ours:
            mark.remove()


def _signal(groups: Iterable[int], number: int) -> None:
    for group in groups:
        with suppress(ProcessLookupError):  # it was killed meanwhile
            os.killpg(group, number)


def _owner(pid: int) -> str:
    return f"{pid} {created(pid)}"
