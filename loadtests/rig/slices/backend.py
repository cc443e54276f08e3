"""What every slice backend does, and the one that limits nothing."""

from typing import Protocol


class SliceError(Exception):
    """A backend that cannot be used here; the message says why."""


class Slices(Protocol):
    """One backend. `pid` is a replica's first process, the leader of its process group."""

    backend: str

    def put(self, name: str, pid: int, cores: float) -> None:
        """Limit the process group of `pid` to `cores`. A second call for the same name changes the limit."""

    def drop(self, name: str) -> None:
        """Remove the slice; the processes run on without a limit."""

    def close(self) -> None:
        """Remove every slice and everything that the backend created."""


class NoSlices:
    """No limit: replicas compete for the machine, and the results say so."""

    backend = "none"

    def put(self, name: str, pid: int, cores: float) -> None:
        pass

    def drop(self, name: str) -> None:
        pass

    def close(self) -> None:
        pass
