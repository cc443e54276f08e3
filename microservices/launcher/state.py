"""The state file of a running fleet, by which the next launcher finds the processes that a killed launcher left.

The fleet's id is written before the first process starts, and every process has it in its environment. So a process
that started just before the launcher was killed is found too, although its pid was never written. A pid alone proves
nothing, because the system gives it out again. A process is ended only if it has the fleet's id; where environments
cannot be read, only if it was created at the written time.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from microservices.launcher.environment import FLEET_ID_VARIABLE
from microservices.launcher.process import created

CLOCK_TOLERANCE = 2.0
"""Seconds. A creation time is derived from the boot time, which moves when the clock is set."""


@dataclass(slots=True)
class Entry:
    """One started process group; its number is the leader's pid."""

    name: str
    pid: int
    created: float | None
    port: int


@dataclass(slots=True)
class State:
    """The state file's content; `save` after every change."""

    path: Path
    fleet: str
    launcher_pid: int
    launcher_created: float | None
    url: str = ""
    control: str = ""
    """The path of the launcher's socket; empty when it takes no commands."""
    entries: dict[str, Entry] = field(default_factory=dict)

    def save(self) -> None:
        """Write the file as a whole or not at all."""
        content = {
            "schema": 1,
            "fleet": self.fleet,
            "launcher": {"pid": self.launcher_pid, "created": self.launcher_created},
            "url": self.url,
            "control": self.control,
            "processes": [asdict(entry) for entry in self.entries.values()],
        }
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
        temporary.replace(self.path)


def read(path: Path) -> State | None:
    """The state that a launcher wrote; None when there is no readable file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return State(
            path,
            content["fleet"],
            content["launcher"]["pid"],
            content["launcher"]["created"],
            content["url"],
            content["control"],
            {entry["name"]: Entry(**entry) for entry in content["processes"]},
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def end_leftovers(state: State, timeout: float = 3.0) -> list[int]:
    """End the processes of this fleet that still run; returns their pids."""
    ended: list[int] = []
    while leftovers := list(_leftovers(state)):  # again: a leftover may have started others
        for process in leftovers:
            _send(process, signal.SIGTERM)
            _send(process, signal.SIGCONT)
        _wait_for(leftovers, timeout)
        for process in leftovers:
            _send(process, signal.SIGKILL)
        _wait_for(leftovers, timeout)
        ended += [process.pid for process in leftovers]
    return ended


def _wait_for(processes: list[psutil.Process], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while any(_runs(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.02)


def _leftovers(state: State) -> Iterator[psutil.Process]:
    written = {entry.pid: entry.created for entry in state.entries.values()}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            ours = process.pid != os.getpid() and process.uids().real == os.getuid() and _runs(process)
            if ours and _belongs(process, state.fleet, written.get(process.pid)):
                yield process


def _belongs(process: psutil.Process, fleet: str, written: float | None) -> bool:
    try:
        return process.environ().get(FLEET_ID_VARIABLE) == fleet
    except (psutil.AccessDenied, OSError):
        # Some systems show no environment; there the creation time decides.
        now = created(process.pid)
        return written is not None and now is not None and abs(written - now) < CLOCK_TOLERANCE


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _send(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.Error):
        process.send_signal(number)  # psutil checks the creation time again, so the pid's next owner is safe
