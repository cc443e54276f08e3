"""The shop that `exercises serve` keeps open, found and steered from another process.

The state file of its launcher says where everything is. Only what the launcher must know goes through its socket. A
process is killed or paused with a signal, as anybody could do it, and the launcher finds out by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from exercises.checks.slowing import CYCLE_SECONDS, Mark, slow_down
from exercises.errors import ExerciseError
from microservices.launcher import Fleet, LauncherError, readiness, state
from microservices.launcher.control import send_command
from microservices.launcher.process import created

GATEWAY = "gateway"
MAP = "map.json"
READY, STARTING, PAUSED, DEAD, SLOW = "ready", "starting", "paused", "down", "slow"
UP = {READY, SLOW}
"""What a process does that answers."""
PROBE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Member:
    """One process group: a replica, or the gateway."""

    label: str
    pid: int
    port: int

    @property
    def name(self) -> str:
        """The service that it is a replica of."""
        name, _, slot = self.label.rpartition("-")
        return name if slot.isdigit() else self.label

    def phase(self) -> str:
        """What it does now, in the launcher's words; `paused` when it was stopped with a signal."""
        try:
            status = psutil.Process(self.pid).status()
        except psutil.Error:
            return DEAD
        if status == psutil.STATUS_STOPPED:
            return PAUSED
        if status == psutil.STATUS_ZOMBIE:
            return DEAD
        answer = readiness.status(self.port, timeout=PROBE_SECONDS)
        return READY if answer == 200 or (answer is not None and self.name == GATEWAY) else STARTING


@dataclass(frozen=True, slots=True)
class Drawn:
    """A service as the topology describes it."""

    name: str
    needs: tuple[str, ...] = ()
    public: bool = True
    """Whether visitors reach it through the gateway."""
    slots: int = 1
    has_database: bool = True


@dataclass(frozen=True, slots=True)
class OpenShop:
    """A shop that runs now."""

    url: str
    folder: Path
    """The run folder of its launcher."""
    launcher_pid: int
    steered: bool
    """Whether its launcher takes commands: a shop with a topology.py."""
    members: tuple[Member, ...]
    services: tuple[Drawn, ...]

    def named(self, name: str) -> list[Member]:
        """The processes of a service, a replica or the gateway; ExerciseError when there is none."""
        found = [member for member in self.members if name in {member.name, member.label}]
        if not found:
            labels = ", ".join(member.label for member in self.members)
            raise ExerciseError(f"There is no {name[:40]!r} in your shop; it has {labels}.")
        return found

    def command(self, **request: Any) -> Any:
        """Send a command to its launcher; ExerciseError with the launcher's own sentence."""
        if not self.steered:
            raise ExerciseError(
                "Your shop is one process until exercise 04; only a topology.py can be scaled."
            )
        try:
            return send_command(self.folder.parents[1], self.folder.name, request)
        except LauncherError as error:
            raise ExerciseError(str(error)) from None

    def phase(self, member: Member) -> str:
        """What a process does now; `slow` while somebody slows it, who stops it most of the time."""
        return SLOW if self._slowing(member).holds() and psutil.pid_exists(member.pid) else member.phase()

    def kill(self, name: str) -> list[str]:
        """End the processes with SIGKILL; returns their labels."""
        return self._signal(name, signal.SIGKILL)

    def pause(self, name: str) -> list[str]:
        """Stop them: connections open, no answer comes."""
        self._end_slowing(name)
        return self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> list[str]:
        """Let them go on, at their own speed."""
        self._end_slowing(name)
        return self._signal(name, signal.SIGCONT)

    def slow(self, name: str, share: float, seconds: float) -> None:
        """Let the processes run only this share of the time, for so many seconds or until `resume`."""
        members = self.named(name)
        slow_down([(member.pid, self._slowing(member)) for member in members], share, seconds)

    def _slowing(self, member: Member) -> Mark:
        return Mark(self.folder / f"slow-{member.label}-{member.pid}")

    def _end_slowing(self, name: str) -> None:
        slowed = [self._slowing(member).remove() for member in self.named(name)]
        if any(slowed):
            time.sleep(CYCLE_SECONDS)  # whoever slows it looks once in this time

    def close(self) -> None:
        """Do what Ctrl-C does where it was started."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.launcher_pid, signal.SIGINT)

    def _signal(self, name: str, number: int) -> list[str]:
        reached = []
        for member in self.named(name):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(member.pid, number)
                reached.append(member.label)
        return reached


def describe(fleet: Fleet) -> None:
    """Write beside the launcher's state what the shop is made of, so that nobody else has to run topology.py."""
    services = [
        {
            "name": service.name,
            "needs": [fleet.topology.resolve(name).name for name in service.needs],
            "public": bool(service.paths) or fleet.topology.caddyfile is not None,
            "slots": service.slots,
            "has_database": service.has_database,
        }
        for service in fleet.topology.services
    ]
    (fleet.folder.path / MAP).write_text(json.dumps(services), encoding="utf-8")


def find(folder: Path) -> OpenShop | None:
    """The shop that `exercises serve` keeps open; `folder` is where it keeps its shops."""
    return next(
        (shop for file in sorted(folder.glob("shops/*/run/*/state.json")) if (shop := read(file))), None
    )


def require(folder: Path) -> OpenShop:
    """The same; ExerciseError when no shop is open."""
    shop = find(folder)
    if shop is None:
        raise ExerciseError("No shop of this workspace is open; exercises serve opens it.")
    return shop


def read(state_file: Path) -> OpenShop | None:
    """The shop of a launcher's state file; None when that launcher does not run any more."""
    written = state.read(state_file)
    if written is None or written.launcher_created != created(written.launcher_pid):
        return None
    members = tuple(Member(entry.name, entry.pid, entry.port) for entry in written.entries.values())
    services = tuple(_services(state_file.with_name(MAP), members))
    return OpenShop(
        written.url, state_file.parent, written.launcher_pid, bool(written.control), members, services
    )


def _services(file: Path, members: tuple[Member, ...]) -> Iterator[Drawn]:
    """As the topology has them; without one, those that run."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        names = dict.fromkeys(member.name for member in members if member.name != GATEWAY)
        yield from map(Drawn, names)
        return
    for each in found:
        yield Drawn(**{**each, "needs": tuple(each["needs"])})
