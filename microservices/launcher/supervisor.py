"""The thread that supervises a fleet's processes: it notices when one is ready and restarts those that died."""

from __future__ import annotations

import threading
from collections.abc import Callable

from microservices.launcher.errors import NotStarted
from microservices.launcher.replica import Death, Phase, Replica

POLL_STARTING_SECONDS, POLL_SECONDS = 0.025, 0.1


class Supervisor:
    """Owns the phases of the members. Hold `lock` to change one from outside."""

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
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; after this returns, no process is started any more."""
        self._end.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def add(self, member: Replica) -> None:
        """Start a new member and supervise it."""
        with self.lock:
            if self._end.is_set():
                raise NotStarted(f"{member.label} was not started, because the shop is stopping.")
            self._launch(member)
            self.members[member.label] = member

    def is_stopped(self) -> bool:
        """Whether no process is started any more."""
        return self._end.is_set()

    def replicas_of(self, name: str) -> list[Replica]:
        """The members with this name, by slot."""
        with self.lock:
            found = [member for member in self.members.values() if member.name == name]
        return sorted(found, key=lambda member: member.slot)

    def _watch(self) -> None:
        pause = POLL_STARTING_SECONDS
        while not self._end.wait(pause):
            with self.lock:
                members = list(self.members.values())
            for member in members:
                self._check(member)
            starting = any(member.phase is Phase.STARTING for member in members)
            pause = POLL_STARTING_SECONDS if starting else POLL_SECONDS

    def _check(self, member: Replica) -> None:
        with self.lock:
            if self._end.is_set() or member.phase in {Phase.DRAINING, Phase.FAILED}:
                return
            if member.phase is Phase.DOWN:
                if self._restart and member.restart_is_due():
                    self._launch(member)
                return
            exit_status = member.child.exit_status() if member.child else None
            if exit_status is not None:
                self._handle_exit(member, exit_status)
                return
            if member.was_ready and member.phase is Phase.STARTING and member.uptime() > self._ready_seconds:
                self._kill_hanging(member)
                return
        if member.phase is Phase.STARTING and member.is_ready():
            self._handle_ready(member)

    def _handle_ready(self, member: Replica) -> None:
        try:
            self._on_ready(member)  # before READY: the lab sets its slice of CPU there
        except Exception as error:  # noqa: BLE001 -- the caller's code; `start` or `scale` raises it
            member.error = error
        with self.lock:
            if member.phase is not Phase.STARTING:
                return
            member.phase = Phase.FAILED if member.error else Phase.READY
            member.was_ready = True
        if member.error:
            self._say(f"{member.label} is not used, because its on_ready callback failed: {member.error}")
        else:
            self._say(f"{member.label} is ready after {member.uptime():.1f} s.")

    def _kill_hanging(self, member: Replica) -> None:
        """Kill a member that hangs during a restart: there is no caller of `start` that would notice it."""
        self._say(f"{member.label} is not ready after {self._ready_seconds:.0f} s; ending it.")
        if member.child:
            member.child.kill()  # the next check finds it dead and restarts it

    def _handle_exit(self, member: Replica, exit_status: int) -> None:
        if member.child:
            member.child.kill()  # a worker outlives its killed leader and would keep the port
        death, pause = member.died(exit_status)
        self.died.append(death)
        if member.phase is Phase.DOWN and self._restart:
            self._say(f"{member.label} died ({death.cause}); starting it again in {pause:.1f} s.")
        else:
            self._say(f"{member.label} died ({death.cause}).")
