"""Runs the monolith of a workspace alone, without a gateway, as the shop is until exercise 04.

It keeps the launcher's rules: a run folder with a lock, a state file by which a later command can clean up, a process
group of its own, and polling for readiness.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from microservices.launcher import LauncherError, NotStarted, Phase, Replica, RunFolder, sqlite_url, state
from microservices.launcher.environment import FLEET_ID_VARIABLE, inherited
from microservices.launcher.ports import Ports, require_free
from microservices.launcher.process import Child, created, end_all
from microservices.sealing import in_workspace

NAME = "monolith"
SERVE = ("-m", "monolith.cli", "serve", "--host", "127.0.0.1", "--port")
STOP_SECONDS = 8.0


class Solo:
    """One process of the monolith. Methods that a Fleet has too have the same names."""

    def __init__(
        self,
        folder: Path,
        *,
        home: Path,
        database: Path,
        env: Mapping[str, str],
        port: int | None,
        ready_seconds: float,
    ) -> None:
        self.folder = RunFolder(home.absolute(), NAME)
        self._code = folder
        self._id = uuid.uuid4().hex
        own = {
            "SHOP_HOME": str(home.absolute()),
            "SHOP_DATABASE_URL": sqlite_url(database),
            FLEET_ID_VARIABLE: self._id,
        }
        self._env = in_workspace({**inherited(os.environ), **env, **own}, folder)
        self._port = port
        self._ready_seconds = ready_seconds
        self._ports: Ports | None = None
        self._stopping = False
        self.replica: Replica

    @property
    def url(self) -> str:
        """The shop's address."""
        return f"http://127.0.0.1:{self.replica.port}"

    def members(self) -> list[Replica]:
        """The one process."""
        return [self.replica]

    def start(self) -> None:
        """Start it; returns when it is ready."""
        self.folder.claim(lambda _: None)
        try:
            if self._port is not None:
                require_free(self._port)
            self._ports = Ports(1)
            self.replica = Replica(NAME, 1, self._port or self._ports.numbers[0], self.folder.path)
            pid = os.getpid()
            self._state = state.State(self.folder.state_file, self._id, pid, created(pid), self.url)
            self._state.save()
            self.revive()
        except BaseException:
            self.stop()
            raise

    def revive(self) -> None:
        """Start the process, or start it again when it has ended."""
        if self.replica.child is None or self.replica.child.exit_status() is not None:
            if self.replica.child is not None:
                self.replica.child.kill()  # a worker survives its killed parent, and would keep the port
            command = [sys.executable, *SERVE, str(self.replica.port)]
            child = Child(command, self._env, self.replica.log, self._code)
            self.replica.started(child)
            label = self.replica.label
            self._state.entries[label] = state.Entry(label, child.pid, child.created, self.replica.port)
            self._state.save()
        self._wait()

    def stop(self, seconds: float | None = None) -> None:
        """End it and all processes that it started; after `seconds` (default: 8) by killing them."""
        self._stopping = True
        if not self.folder.claimed:
            return
        if hasattr(self, "replica") and self.replica.child:
            end_all([self.replica.child], STOP_SECONDS if seconds is None else seconds)
        if hasattr(self, "_state"):
            state.end_leftovers(self._state)
            self._state.path.unlink(missing_ok=True)
        if self._ports:
            self._ports.release()
        self.folder.release()

    def _wait(self) -> None:
        deadline = time.monotonic() + self._ready_seconds
        while not self.replica.is_ready():
            child = self.replica.child
            if child is None or child.exit_status() is not None:
                raise NotStarted(
                    f"{NAME} ended while it was started; its log ends with:\n{self.replica.last_lines(15)}"
                )
            if time.monotonic() > deadline or self._stopping:
                raise LauncherError(
                    f"{NAME} was not ready after {self._ready_seconds:.0f} s; its log is {self.replica.log}."
                )
            time.sleep(0.02)
        self.replica.phase = Phase.READY
        self.replica.was_ready = True
