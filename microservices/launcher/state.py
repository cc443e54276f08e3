"""What is written down about a running fleet, so that the next launcher finds what a killed one left behind.

The fleet's id is written before the first process is started, and every process carries it in its environment: a
process that started just before the launcher was killed is found even though its pid was never written. A pid
alone proves nothing, since the system gives it to somebody else; nothing is ended that does not carry the id or
was not created at the written time.
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

from microservices.launcher.environment import MARK
from microservices.launcher.process import created

CLOCK_SLACK = 2.0
"""Seconds by which a creation time may seem to move: it is derived from the boot time, which a set clock changes."""


@dataclass(slots=True)
class Entry:
    """One started process: the group has the leader's pid as its number."""

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
    """Path of the launcher's socket, empty when it listens to nobody."""
    entries: dict[str, Entry] = field(default_factory=dict)

    def save(self) -> None:
        """Write the file whole or not at all."""
        content = {
            "schema": 1,
            "fleet": self.fleet,
            "launcher": {"pid": self.launcher_pid, "created": self.launcher_created},
            "url": self.url,
            "control": self.control,
            "processes": [asdict(entry) for entry in self.entries.values()],
        }
        draft = self.path.with_suffix(".tmp")
        draft.write_text(json.dumps(content, indent=1), encoding="utf-8")
        draft.replace(self.path)


def read(path: Path) -> State | None:
    """The state that a launcher wrote; None when there is none or it cannot be read."""
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


def sweep(state: State, patience: float = 3.0) -> list[int]:
    """End what is left of the fleet that `state` describes; returns the pids that were ended."""
    ended: list[int] = []
    while leftovers := list(_leftovers(state)):  # again, for what a leftover started while it was being ended
        for process in leftovers:
            _send(process, signal.SIGTERM)
            _send(process, signal.SIGCONT)
        _wait_for(leftovers, patience)
        for process in leftovers:
            _send(process, signal.SIGKILL)
        _wait_for(leftovers, patience)
        ended += [process.pid for process in leftovers]
    return ended


def _wait_for(processes: list[psutil.Process], patience: float) -> None:
    deadline = time.monotonic() + patience
    while any(_runs(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.02)


def _leftovers(state: State) -> Iterator[psutil.Process]:
    written = {entry.pid: entry.created for entry in state.entries.values()}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            mine = process.pid != os.getpid() and process.uids().real == os.getuid() and _runs(process)
            if mine and _belongs(process, state.fleet, written.get(process.pid)):
                yield process


def _belongs(process: psutil.Process, fleet: str, written: float | None) -> bool:
    try:
        return process.environ().get(MARK) == fleet
    except (psutil.AccessDenied, OSError):  # some systems show no environment: then the time decides
        now = created(process.pid)
        return written is not None and now is not None and abs(written - now) < CLOCK_SLACK


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _send(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.Error):
        process.send_signal(number)  # checks the creation time again, so never reaches a new owner of the pid
