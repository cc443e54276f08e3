"""A running shop as a trial sees it: a fleet that the lab started, or a shop that somebody else runs."""

from collections.abc import Sequence
from typing import Protocol

from microservices.launcher import Death, Phase


class TargetError(Exception):
    """A shop that cannot be measured; the message says why and what to do."""


class ShopReplica(Protocol):
    """The part of `microservices.launcher.Replica` that a trial uses. A replica on another machine has no pid here."""

    @property
    def name(self) -> str:
        """The name of its service."""

    @property
    def label(self) -> str:
        """Its own name, such as `recommendations-2`."""

    @property
    def phase(self) -> Phase:
        """Its state now."""

    @property
    def pid(self) -> int:
        """Its first process, the leader of its process group; 0 where it has none on this machine."""

    def pids(self) -> list[int]:
        """All its processes on this machine."""


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

    def replicas(self, name: str | None = None) -> Sequence[ShopReplica]:
        """Its replicas; those of one service when `name` is given."""

    def scale(self, name: str, count: int) -> Sequence[ShopReplica]:
        """Run `count` replicas of the service; returns them once they are ready."""

    def restart(self, name: str) -> Sequence[ShopReplica]:
        """Replace the replicas of the service one after another; returns the new ones."""
