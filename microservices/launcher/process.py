"""One started program with everything that it starts: a process group in a session of its own.

A server's workers are children of the process that was started; when that one is killed they live on and keep the
port. Signals therefore always go to the whole group.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil


class Child:
    """A running process group, started by this process."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 -- the command comes from the topology
                list(command),
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self.log = log
        self.started = time.monotonic()
        self.created = created(self.pid)

    def exit_status(self) -> int | None:
        """The leader's exit status (negative: the signal that ended it); None while it runs."""
        return self._process.poll()

    def terminate(self) -> None:
        """Ask the group to end; one that is paused is woken up for it."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End what is left of the group at once, and collect the leader."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def pids(self) -> list[int]:
        """The leader and everything below it."""
        try:
            leader = psutil.Process(self.pid)
            return [self.pid, *(child.pid for child in leader.children(recursive=True))]
        except psutil.NoSuchProcess:
            return []

    def _signal(self, number: int) -> None:
        # PermissionError: on macOS, a group of which only a zombie is left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def end_all(children: Iterable[Child], patience: float) -> None:
    """End the groups: SIGTERM to each, and SIGKILL to what is left after `patience` seconds."""
    children = list(children)
    for child in children:
        child.terminate()
    deadline = time.monotonic() + patience
    while any(child.exit_status() is None for child in children) and time.monotonic() < deadline:
        time.sleep(0.01)
    for child in children:
        child.kill()


def created(pid: int) -> float | None:
    """When the process was created (seconds since the epoch): with the pid, this names a process for good."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None
