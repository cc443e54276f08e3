"""Where the processes of one running topology listen. All ports are on loopback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from microservices.topology import Topology

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Lookup:
    """Replicas that are found by name, again and again: each address of the name is one that takes requests."""

    name: str
    port: int


class Places(Protocol):
    """What the gateway has to know of the network that it is in."""

    @property
    def host(self) -> str:
        """Where the gateway listens; empty: at all addresses."""

    @property
    def public(self) -> int:
        """The port for customers."""

    @property
    def internal(self) -> Mapping[str, int]:
        """By service: the port for the services that call it. Empty where they call each other directly."""

    def replicas(self, name: str) -> tuple[str, ...] | Lookup:
        """Where the replicas of a service are: `host:port` of each slot, or a name to look up."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The ports of one fleet."""

    public: int
    """Where the gateway listens for customers."""
    internal: Mapping[str, int]
    """By service: where the gateway listens for the services that call it."""
    slots: Mapping[str, tuple[int, ...]]
    """By service: where its replicas listen."""

    @classmethod
    def assign(cls, topology: Topology, ports: list[int], public: int | None) -> Self:
        """Give out `ports`, as many as `count_ports`; `public` replaces the first of them."""
        numbers = iter(ports)
        first = next(numbers)
        return cls(
            public or first,
            {service.name: next(numbers) for service in topology.services},
            {
                service.name: tuple(next(numbers) for _ in range(service.slots))
                for service in topology.services
            },
        )

    @property
    def host(self) -> str:
        """Where everything listens."""
        return HOST

    def replicas(self, name: str) -> tuple[str, ...]:
        """`host:port` of each slot of a service."""
        return tuple(f"{HOST}:{port}" for port in self.slots[name])


def count_ports(topology: Topology) -> int:
    """How many ports a fleet of this topology needs."""
    return 1 + sum(1 + service.slots for service in topology.services)
