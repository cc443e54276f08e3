"""The folder below SHOP_HOME with the logs, the state file and the lock of one running topology."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from microservices.launcher import state
from microservices.launcher.errors import AlreadyRunning


def default_home() -> Path:
    """SHOP_HOME, or .shop below the working directory."""
    return Path(os.environ.get("SHOP_HOME", ".shop")).absolute()


class RunFolder:
    """`<home>/run/<topology>`. The process that holds the lock is the launcher."""

    def __init__(self, home: Path, topology: str) -> None:
        self.home = home
        self.path = home / "run" / topology
        self.logs = self.path / "logs"
        self.state_file = self.path / "state.json"
        self._lock: int | None = None

    @property
    def claimed(self) -> bool:
        """Whether this object holds the lock."""
        return self._lock is not None

    def claim(self, say: Callable[[str], None]) -> None:
        """Take the lock, and end the processes that a killed launcher left behind; a second call does nothing."""
        if self.claimed:
            return
        self.logs.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise AlreadyRunning(
                f"The {self.path.name} shop of {self.home} is already running; stop it first: microservices down"
            ) from None
        self._lock = descriptor
        if ended := self._end_leftovers():
            say(f"Ended {ended} processes that a killed launcher had left behind.")

    def release(self) -> None:
        """Give the lock back. It also ends with the process, even when that is killed."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _end_leftovers(self) -> int:
        left = state.read(self.state_file)
        ended = state.end_leftovers(left) if left else []
        for old in (*self.path.glob("*.drain"), *self.logs.glob("*.log"), self.state_file):
            old.unlink(missing_ok=True)
        return len(ended)
