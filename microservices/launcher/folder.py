"""The folder below SHOP_HOME where one running topology keeps its logs, its state file and the lock on both."""

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
    """`<home>/run/<topology>`; whoever holds the lock is the launcher."""

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
        """Become the launcher and end what a killed one left behind; does nothing when this already happened."""
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
        if ended := self._sweep():
            say(f"Ended {ended} processes that a killed launcher had left behind.")

    def release(self) -> None:
        """Let the next launcher in; the lock also ends with the process, however that ends."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _sweep(self) -> int:
        left = state.read(self.state_file)
        ended = state.sweep(left) if left else []
        for old in (*self.path.glob("*.drain"), *self.logs.glob("*.log"), self.state_file):
            old.unlink(missing_ok=True)
        return len(ended)
