"""One supervised process group: a replica in a slot of its service, or the gateway."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from microservices.launcher import readiness
from microservices.launcher.process import Child

READY_STATUS = 200
MIN_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.2, 5.0
BACKOFF_RESET_SECONDS = 10.0
"""A process that ran this long before it died is restarted after the shortest pause again."""


class Phase(StrEnum):
    """The state of a replica."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    DOWN = "down"
    """It died, and waits to be restarted."""
    FAILED = "failed"
    """It died before it was ever ready, so that a restart would hide an error; or `on_ready` failed."""


@dataclass(frozen=True, slots=True)
class Death:
    """A process that ended without being asked to."""

    name: str
    slot: int
    pid: int
    exit_status: int
    """As in `subprocess`: a negative number is the signal."""
    at: float
    """Seconds since the epoch."""

    @property
    def cause(self) -> str:
        """`SIGKILL`, or `exit status 1`."""
        if self.exit_status < 0:
            return signal.Signals(-self.exit_status).name
        return f"exit status {self.exit_status}"


class Replica:
    """`name` is the service's, `slot` counts from 1. Only the launcher changes its state."""

    def __init__(self, name: str, slot: int, port: int, folder: Path, *, any_answer: bool = False) -> None:
        self.name = name
        self.slot = slot
        self.label = f"{name}-{slot}" if slot else name
        self.port = port
        self.log = folder / "logs" / f"{self.label}.log"
        self.drain_file = folder / f"{self.label}.drain"
        self._phase = Phase.DOWN
        self.phase_changed_at = time.monotonic()
        """On the clock of time.monotonic()."""
        self.was_ready = False
        """Whether it was ready at least once."""
        self.error: Exception | None = None
        """What `on_ready` raised."""
        self.restarts = 0
        self.child: Child | None = None
        self._any_answer = any_answer
        self._deaths_in_a_row = 0
        self._restart_at = 0.0

    @property
    def phase(self) -> Phase:
        """Its state now."""
        return self._phase

    @phase.setter
    def phase(self, phase: Phase) -> None:
        if phase is not self._phase:
            self._phase, self.phase_changed_at = phase, time.monotonic()

    @property
    def pid(self) -> int:
        """The pid of the group's leader; 0 before the first start."""
        return self.child.pid if self.child else 0

    def pids(self) -> list[int]:
        """All processes of the replica: the server and its worker."""
        return self.child.pids() if self.child else []

    def uptime(self) -> float:
        """Seconds since the process was started."""
        return time.monotonic() - self.child.started if self.child else 0.0

    def is_ready(self) -> bool:
        """Probe it now: whether it takes requests."""
        answer = readiness.status(self.port, timeout=0.5)
        return answer is not None if self._any_answer else answer == READY_STATUS

    def started(self, child: Child) -> None:
        """Record the process that was just started."""
        self.restarts += self.child is not None
        self.child = child
        self.phase = Phase.STARTING

    def died(self, exit_status: int) -> tuple[Death, float]:
        """Record its death; also returns the seconds until the restart."""
        death = Death(self.name, self.slot, self.pid, exit_status, time.time())
        self._deaths_in_a_row = 1 if self.uptime() > BACKOFF_RESET_SECONDS else self._deaths_in_a_row + 1
        backoff = MIN_BACKOFF_SECONDS * 2 ** (self._deaths_in_a_row - 1)
        pause = float(min(backoff, MAX_BACKOFF_SECONDS))
        self._restart_at = time.monotonic() + pause
        self.phase = Phase.DOWN if self.was_ready else Phase.FAILED
        return death, pause

    def restart_is_due(self) -> bool:
        """Whether it is dead and the pause after its death is over."""
        return self.phase is Phase.DOWN and time.monotonic() >= self._restart_at

    def last_lines(self, count: int = 15) -> str:
        """The last lines of its log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])
        except OSError:
            return ""
