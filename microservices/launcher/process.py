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

ASK_AGAIN_SECONDS = 0.5


class Child:
    """A running process group, started by this process."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], log: Path, folder: Path | None = None
    ) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 -- the command comes from the topology
                list(command),
                env=dict(env),
                cwd=folder,
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
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)

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


def end_all(children: Iterable[Child], patience: float, *, ask_again: bool = True) -> None:
    """End the groups: SIGTERM to each, and SIGKILL to what is left after `patience` seconds.

    A signal that reaches a paused Python server may be taken by a thread that does not wake up the main one (so it
    was in 29 of 40 tries); therefore it is asked again. Caddy would take a second SIGTERM for impatience.
    """
    children = list(children)
    deadline = time.monotonic() + patience
    ask_at = 0.0
    while (
        running := [child for child in children if child.exit_status() is None]
    ) and time.monotonic() < deadline:
        if time.monotonic() >= ask_at:
            for child in running:
                child.terminate()
            ask_at = time.monotonic() + ASK_AGAIN_SECONDS if ask_again else deadline
        time.sleep(0.01)
    for child in children:
        child.kill()


def created(pid: int) -> float | None:
    """When the process was created (seconds since the epoch): with the pid, this names a process for good.

    None when there is none, or only one that has ended and was not collected yet.
    """
    try:
        process = psutil.Process(pid)
        return process.create_time() if process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None
