"""The faults: each begins when its context is entered and has ended when it is left.

Processes are killed and paused by signals, as the system's memory killer or a stalled disk would do it; networks go
bad in a proxy; the launcher itself restarts and scales. No service is told that it is being tested.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

from microservices.chaos.arena import PROXIED, Arena
from microservices.chaos.standstill import standing_still
from microservices.launcher import SPLIT, Replica

GATEWAY = "gateway"
EVERYTHING = "everything"
NETWORK: Mapping[str, tuple[str, dict[str, int]]] = {
    "is 3 s late": ("latency", {"latency": 3000}),
    "is 0.3 s late": ("latency", {"latency": 300, "jitter": 200}),
    "hangs": ("timeout", {}),
    "loses its connections": ("timeout", {"timeout": 50}),
    "resets its connections": ("reset_peer", {}),
    "has its answers cut off": ("limit_data", {"bytes": 200}),
    "has its answers trickle": ("slicer", {"average_size": 20, "delay": 500_000}),
    "answers 503": ("answer", {"status": 503}),
    "answers broken JSON": ("answer", {"status": 200, "body": 1}),
    "answers JSON that nobody agreed on": ("answer", {"status": 200, "body": 2}),
}
"""What callers see of a service behind a bad network."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what, to whom, and for how long where it has a length."""

    kind: str
    """`kill`, `pause`, `restart`, `scale`, or one of NETWORK."""
    target: str
    seconds: float = 0.0

    def __str__(self) -> str:
        names = {
            "kill": f"{self.target} killed",
            "pause": f"{self.target} paused for {self.seconds:.1f} s",
            "restart": f"{self.target} restarted in turns",
            "scale": f"{self.target} scaled 1, 4, 1",
        }
        return names.get(self.kind) or f"{self.target} {self.kind} for {self.seconds:.1f} s"


def every() -> list[Fault]:
    """Each fault once, without lengths."""
    services = [service.name for service in SPLIT.services]
    return [
        *(Fault("kill", name) for name in (*services, GATEWAY, EVERYTHING)),
        *(Fault("pause", name) for name in (*services, GATEWAY)),
        *(Fault(kind, name) for kind in NETWORK for name in PROXIED),
        *(Fault("restart", name) for name in services),
        *(Fault("scale", name) for name in services),
    ]


@contextmanager
def happening(fault: Fault, arena: Arena) -> Iterator[None]:
    """Do it, and undo it where it does not end by itself."""
    begin = _KINDS.get(fault.kind, _bad_network)
    with begin(fault, arena):
        yield


def kill(members: list[Replica]) -> None:
    """End servers and workers at once, without a chance to tidy up."""
    for pid in [pid for member in members for pid in member.pids()]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def paused(members: list[Replica]) -> Iterator[None]:
    """All processes of these members stand still."""
    with standing_still([pid for member in members for pid in member.pids()]):
        yield


def members_of(target: str, arena: Arena) -> list[Replica]:
    """The processes that a fault is for."""
    if target == EVERYTHING:
        return arena.fleet.members()
    if target == GATEWAY:
        return arena.fleet.members()[:1]
    return arena.fleet.replicas(target)


@contextmanager
def _kill(fault: Fault, arena: Arena) -> Iterator[None]:
    kill(members_of(fault.target, arena))
    yield


def _pause(fault: Fault, arena: Arena) -> AbstractContextManager[None]:
    return paused(members_of(fault.target, arena))


@contextmanager
def _restart(fault: Fault, arena: Arena) -> Iterator[None]:
    arena.fleet.restart(fault.target)
    yield


@contextmanager
def _scale(fault: Fault, arena: Arena) -> Iterator[None]:
    for count in (4, 1):
        arena.fleet.scale(fault.target, count)
    yield


@contextmanager
def _bad_network(fault: Fault, arena: Arena) -> Iterator[None]:
    kind, attributes = NETWORK[fault.kind]
    with arena.proxies[fault.target].toxic(kind, "downstream", **attributes):
        yield


_KINDS: Mapping[str, Callable[[Fault, Arena], AbstractContextManager[None]]] = {
    "kill": _kill,
    "pause": _pause,
    "restart": _restart,
    "scale": _scale,
}
