"""A started program and all that it starts: a process group in its own session.

A server's workers are children of the process that was started. When that process is killed, they live on and keep the
port. So signals always go to the whole group.
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

SIGNAL_AGAIN_SECONDS = 0.5


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU seconds that these processes have used so far; those that have ended count nothing."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system
    return total


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
        """Ask the group to end. SIGCONT first, because a paused process handles no SIGTERM."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End what is left of the group at once, and reap the leader."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def pids(self) -> list[int]:
        """The leader and all its descendants."""
        try:
            leader = psutil.Process(self.pid)
            return [self.pid, *(child.pid for child in leader.children(recursive=True))]
        except psutil.NoSuchProcess:
            return []

    def _signal(self, number: int) -> None:
        # PermissionError: on macOS, when only a zombie is left of the group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def end_all(children: Iterable[Child], timeout: float, *, signal_again: bool = True) -> None:
    """End the groups: SIGTERM to each, and SIGKILL to what is left after `timeout` seconds.

    SIGTERM is sent again every half second: in a paused Python server a thread may receive it that does not wake the
    main thread (in 29 of 40 tries). Not to Caddy, which takes a second SIGTERM as a demand to end at once.
    """
    children = list(children)
    deadline = time.monotonic() + timeout
    signal_at = 0.0
    while (
        running := [child for child in children if child.exit_status() is None]
    ) and time.monotonic() < deadline:
        if time.monotonic() >= signal_at:
            for child in running:
                child.terminate()
            signal_at = time.monotonic() + SIGNAL_AGAIN_SECONDS if signal_again else deadline
        time.sleep(0.01)
    for child in children:
        child.kill()


def created(pid: int) -> float | None:
    """When the process was created, in seconds since the epoch; pid and creation time identify a process for good.

    None when there is no such process, or only a zombie.
    """
    try:
        process = psutil.Process(pid)
        return process.create_time() if process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None
