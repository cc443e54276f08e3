"""The thread that watches over a fleet's processes: tells when one is ready, starts again what died."""

from __future__ import annotations

import threading
from collections.abc import Callable

from microservices.launcher.errors import NotStarted
from microservices.launcher.replica import Death, Phase, Replica

POLL_STARTING, POLL_STEADY = 0.025, 0.1


class Supervisor:
    """Owns the replicas' phases; whoever changes one from outside holds `lock`."""

    def __init__(
        self,
        launch: Callable[[Replica], None],
        on_ready: Callable[[Replica], None],
        say: Callable[[str], None],
        *,
        restart: bool,
        ready_seconds: float,
    ) -> None:
        self.members: dict[str, Replica] = {}
        self.died: list[Death] = []
        self.lock = threading.RLock()
        self._launch = launch
        self._on_ready = on_ready
        self._say = say
        self._restart = restart
        self._ready_seconds = ready_seconds
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; returns once nothing can be started any longer."""
        self._end.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def add(self, member: Replica) -> None:
        """Start a new member and watch over it."""
        with self.lock:
            if self._end.is_set():
                raise NotStarted(f"{member.label} was not started, for the shop is being stopped.")
            self._launch(member)
            self.members[member.label] = member

    def is_stopped(self) -> bool:
        """Whether nothing is started any more."""
        return self._end.is_set()

    def of(self, name: str) -> list[Replica]:
        """The replicas of one service, by slot."""
        with self.lock:
            found = [member for member in self.members.values() if member.name == name]
        return sorted(found, key=lambda member: member.slot)

    def _watch(self) -> None:
        pause = POLL_STARTING
        while not self._end.wait(pause):
            with self.lock:
                members = list(self.members.values())
            for member in members:
                self._tend(member)
            starting = any(member.phase is Phase.STARTING for member in members)
            pause = POLL_STARTING if starting else POLL_STEADY

    def _tend(self, member: Replica) -> None:
        with self.lock:
            if self._end.is_set() or member.phase in {Phase.DRAINING, Phase.FAILED}:
                return
            if member.phase is Phase.DOWN:
                if self._restart and member.is_due():
                    self._launch(member)
                return
            exit_status = member.child.exit_status() if member.child else None
            if exit_status is not None:
                self._bury(member, exit_status)
                return
            if member.served and member.phase is Phase.STARTING and member.uptime() > self._ready_seconds:
                self._end_hanging(member)
                return
        if member.phase is Phase.STARTING and member.answers_ready():
            self._welcome(member)

    def _welcome(self, member: Replica) -> None:
        try:
            self._on_ready(member)  # first, so that whoever sees it ready sees it on its slice of CPU
        except Exception as error:  # noqa: BLE001 -- the caller's code; whoever waits for this replica raises it
            member.problem = error
        with self.lock:
            if member.phase is not Phase.STARTING:
                return
            member.phase = Phase.FAILED if member.problem else Phase.READY
            member.served = True
        if member.problem:
            self._say(f"{member.label} is not used, for what had to be done with it failed: {member.problem}")
        else:
            self._say(f"{member.label} is ready after {member.uptime():.1f} s.")

    def _end_hanging(self, member: Replica) -> None:
        """A replica that hangs while it is started again: nobody else waits for it, so its end is up to us."""
        self._say(f"{member.label} is not ready after {self._ready_seconds:.0f} s; ending it.")
        if member.child:
            member.child.kill()  # the next look finds it dead, and starts it again

    def _bury(self, member: Replica, exit_status: int) -> None:
        if member.child:
            member.child.kill()  # a worker outlives its killed leader, and would keep the port
        death, pause = member.died(exit_status)
        self.died.append(death)
        if member.phase is Phase.DOWN and self._restart:
            self._say(f"{member.label} died ({death.cause}); starting it again in {pause:.1f} s.")
        else:
            self._say(f"{member.label} died ({death.cause}).")
