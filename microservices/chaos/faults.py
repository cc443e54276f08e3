"""The faults. Each begins when its context is entered and has ended when it is left.

Processes are killed and paused by signals, as an out-of-memory killer or a stalled disk would do it. A proxy plays the
bad network. The launcher restarts and scales services. No service knows that it is being tested.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

from microservices.chaos.bad_client import BadClient
from microservices.chaos.pause import paused_processes
from microservices.chaos.shop_under_test import PROXIED, ShopUnderTest
from microservices.launcher import SPLIT, Replica

GATEWAY = "gateway"
EVERYTHING = "everything"
BAD_CLIENT = "bad client"
NETWORK: Mapping[str, tuple[str, dict[str, int]]] = {
    "is 3 s late": ("latency", {"latency": 3000}),
    "is 0.3 s late": ("latency", {"latency": 300, "jitter": 200}),
    "hangs": ("timeout", {}),
    "loses its connections": ("timeout", {"timeout": 50}),
    "resets its connections": ("reset_peer", {}),
    "cuts its answers off": ("limit_data", {"bytes": 200}),
    "answers in small pieces": ("slicer", {"average_size": 20, "delay": 500_000}),
    "answers 503": ("answer", {"status": 503}),
    "answers broken JSON": ("answer", {"status": 200, "body": 1}),
    "answers unexpected JSON": ("answer", {"status": 200, "body": 2}),
}
"""What callers see of a service behind a bad network: the toxic and its attributes."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its kind, the service that it strikes, and its length where it has one."""

    kind: str
    """`kill`, `pause`, `restart`, `scale`, `bad client`, or one of NETWORK."""
    target: str
    seconds: float = 0.0

    @property
    def is_harmless(self) -> bool:
        """Whether no request of others may fail, not even once: a client's own mistake."""
        return self.kind == BAD_CLIENT

    def __str__(self) -> str:
        names = {
            "kill": f"{self.target} killed",
            "pause": f"{self.target} paused for {self.seconds:.1f} s",
            "restart": f"{self.target} restarted, one replica at a time",
            "scale": f"{self.target} scaled 1, 4, 1",
            BAD_CLIENT: f"a bad client for {self.seconds:.1f} s",
        }
        return names.get(self.kind) or f"{self.target} {self.kind} for {self.seconds:.1f} s"


def all_faults() -> list[Fault]:
    """Each fault once, without its length."""
    services = [service.name for service in SPLIT.services]
    return [
        *(Fault("kill", name) for name in (*services, GATEWAY, EVERYTHING)),
        *(Fault("pause", name) for name in (*services, GATEWAY)),
        *(Fault(kind, name) for kind in NETWORK for name in PROXIED),
        *(Fault("restart", name) for name in services),
        *(Fault("scale", name) for name in services),
        Fault(BAD_CLIENT, GATEWAY),
    ]


KINDS = ("kill", "pause", "restart", "scale", BAD_CLIENT, *NETWORK)


@contextmanager
def injected(fault: Fault, shop: ShopUnderTest) -> Iterator[None]:
    """Inject the fault, and end it after the block if it does not end by itself."""
    begin = _KINDS.get(fault.kind, _bad_network)
    with begin(fault, shop):
        yield


def kill(members: list[Replica]) -> None:
    """Kill servers and workers with SIGKILL."""
    for pid in [pid for member in members for pid in member.pids()]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def paused(members: list[Replica]) -> Iterator[None]:
    """Pause all processes of these members while the block runs."""
    with paused_processes([pid for member in members for pid in member.pids()]):
        yield


def members_of(target: str, shop: ShopUnderTest) -> list[Replica]:
    """The members that a fault with this target strikes."""
    if target == EVERYTHING:
        return shop.fleet.members()
    if target == GATEWAY:
        return shop.fleet.members()[:1]
    return shop.fleet.replicas(target)


@contextmanager
def _kill(fault: Fault, shop: ShopUnderTest) -> Iterator[None]:
    kill(members_of(fault.target, shop))
    yield


def _pause(fault: Fault, shop: ShopUnderTest) -> AbstractContextManager[None]:
    return paused(members_of(fault.target, shop))


@contextmanager
def _restart(fault: Fault, shop: ShopUnderTest) -> Iterator[None]:
    shop.fleet.restart(fault.target)
    yield


@contextmanager
def _scale(fault: Fault, shop: ShopUnderTest) -> Iterator[None]:
    for count in (4, 1):
        shop.fleet.scale(fault.target, count)
    yield


@contextmanager
def _bad_client(_fault: Fault, shop: ShopUnderTest) -> Iterator[None]:
    with BadClient(shop.port):
        yield


@contextmanager
def _bad_network(fault: Fault, shop: ShopUnderTest) -> Iterator[None]:
    kind, attributes = NETWORK[fault.kind]
    with shop.proxies[fault.target].toxic(kind, "downstream", **attributes):
        yield


_KINDS: Mapping[str, Callable[[Fault, ShopUnderTest], AbstractContextManager[None]]] = {
    "kill": _kill,
    "pause": _pause,
    "restart": _restart,
    "scale": _scale,
    BAD_CLIENT: _bad_client,
}
