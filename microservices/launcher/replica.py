"""One supervised process: a replica in a slot of its service, or the gateway."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from microservices.launcher import readiness
from microservices.launcher.process import Child

READY_STATUS = 200
BACKOFF_FIRST, BACKOFF_MOST = 0.2, 5.0
STEADY_SECONDS = 10.0
"""After this long, a death counts as the first again and is followed by the shortest pause."""


class Phase(StrEnum):
    """Where a replica is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    DOWN = "down"
    """Died, and waits to be started again."""
    FAILED = "failed"
    """Died before it was ever ready, where starting it again would hide a mistake; or `on_ready` failed."""


@dataclass(frozen=True, slots=True)
class Death:
    """A process that ended without being asked to."""

    name: str
    slot: int
    pid: int
    exit_status: int
    """As subprocess gives it: negative is the signal."""
    at: float
    """Seconds since the epoch."""

    @property
    def cause(self) -> str:
        """In words: `SIGKILL` or `exit status 1`."""
        if self.exit_status < 0:
            return signal.Signals(-self.exit_status).name
        return f"exit status {self.exit_status}"


class Replica:
    """`name` is the service's, `slot` counts from 1; the fleet drives everything but `pids`."""

    def __init__(self, name: str, slot: int, port: int, folder: Path, *, any_answer: bool = False) -> None:
        self.name = name
        self.slot = slot
        self.label = f"{name}-{slot}" if slot else name
        self.port = port
        self.log = folder / "logs" / f"{self.label}.log"
        self.drain_file = folder / f"{self.label}.drain"
        self.phase = Phase.DOWN
        self.served = False
        """Whether it was ever ready."""
        self.problem: Exception | None = None
        """What `on_ready` raised."""
        self.restarts = 0
        self.child: Child | None = None
        self._any_answer = any_answer
        self._deaths_in_a_row = 0
        self._start_at = 0.0

    @property
    def pid(self) -> int:
        """Pid of the process group's leader; 0 before the first start."""
        return self.child.pid if self.child else 0

    def pids(self) -> list[int]:
        """All processes of the replica: the server and its worker."""
        return self.child.pids() if self.child else []

    def uptime(self) -> float:
        """Seconds since the process was started."""
        return time.monotonic() - self.child.started if self.child else 0.0

    def answers_ready(self) -> bool:
        """Whether it says, when asked now, that it takes requests."""
        answer = readiness.status(self.port, timeout=0.5)
        return answer is not None if self._any_answer else answer == READY_STATUS

    def started(self, child: Child) -> None:
        """Remember the process that was just started."""
        self.restarts += self.child is not None
        self.child = child
        self.phase = Phase.STARTING

    def died(self, exit_status: int) -> tuple[Death, float]:
        """Note the death; also returns the seconds until the next start is due."""
        death = Death(self.name, self.slot, self.pid, exit_status, time.time())
        self._deaths_in_a_row = 1 if self.uptime() > STEADY_SECONDS else self._deaths_in_a_row + 1
        pause = float(min(BACKOFF_FIRST * 2 ** (self._deaths_in_a_row - 1), BACKOFF_MOST))
        self._start_at = time.monotonic() + pause
        self.phase = Phase.DOWN if self.served else Phase.FAILED
        return death, pause

    def is_due(self) -> bool:
        """Whether the pause after a death is over."""
        return self.phase is Phase.DOWN and time.monotonic() >= self._start_at

    def last_lines(self, count: int = 5) -> str:
        """The end of its log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])
        except OSError:
            return ""
