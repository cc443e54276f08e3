"""What every slice backend does, and the one that limits nothing."""

from dataclasses import dataclass
from typing import Protocol


class SliceError(Exception):
    """A backend that cannot be used here; the message says why."""


@dataclass(frozen=True)
class Throttling:
    """How much a slice has held its processes back so far.

    `periods` is the number of periods of the quota in which they were stopped, `seconds` the time for which CPU cores
    were kept from them. `pressure_seconds` is the time in which some process waited for CPU, for any reason; None where
    the kernel does not count it for a group.
    """

    periods: int
    seconds: float
    pressure_seconds: float | None = None


class Slices(Protocol):
    """One backend. `pid` is a replica's first process, the leader of its process group."""

    backend: str

    def put(self, name: str, pid: int, cores: float) -> None:
        """Limit the process group of `pid` to `cores`. A second call for the same name changes the limit."""

    def drop(self, name: str) -> None:
        """Remove the slice; the processes run on without a limit."""

    def throttling(self, name: str) -> Throttling | None:
        """How much the slice has held back so far; None where the backend does not count it, or without a slice."""

    def close(self) -> None:
        """Remove every slice and everything that the backend created."""


class NoSlices:
    """No limit: replicas compete for the machine, and the results say so."""

    backend = "none"

    def put(self, name: str, pid: int, cores: float) -> None:
        pass

    def drop(self, name: str) -> None:
        pass

    def throttling(self, name: str) -> Throttling | None:  # noqa: ARG002 - of the protocol
        return None

    def close(self) -> None:
        pass
