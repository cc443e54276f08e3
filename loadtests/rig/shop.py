"""A running shop as a trial sees it: a fleet that the lab started, or a shop that somebody else runs."""

from typing import Protocol

from microservices.launcher import Death, Replica


class TargetError(Exception):
    """A shop that cannot be measured; the message says why and what to do."""


class Shop(Protocol):
    """The part of `microservices.launcher.Fleet` that a trial uses."""

    @property
    def url(self) -> str:
        """The address that the shop answers at."""

    @property
    def gateway(self) -> int:
        """Pid of its gateway; 0 when the lab cannot observe it."""

    @property
    def died(self) -> list[Death]:
        """Processes that ended without being asked to."""

    def replicas(self, name: str | None = None) -> list[Replica]:
        """Its replicas; those of one service when `name` is given."""

    def scale(self, name: str, count: int) -> list[Replica]:
        """Run `count` replicas of the service; returns them once they are ready."""

    def restart(self, name: str) -> list[Replica]:
        """Replace the replicas of the service one after another; returns the new ones."""
