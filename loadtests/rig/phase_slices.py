"""The CPU slices of one running shop, phase by phase."""

import contextlib
import threading
from collections.abc import Sequence

from loadtests.planning.phases import PlannedPhase
from loadtests.rig.shop import ShopReplica
from loadtests.rig.slices import Slices, Throttling


class PhaseSlices:
    """Keeps every replica of a shop on the slice of the current phase, including replicas that start later.

    Safe to call from several threads.
    """

    def __init__(self, slices: Slices, prefix: str = "") -> None:
        self.slices = slices
        self._prefix = prefix  # another shop that runs now has replicas of the same names
        self._phase: PlannedPhase | None = None
        self._applied: dict[str, tuple[int, float]] = {}
        self._lock = threading.RLock()

    def begin(self, phase: PlannedPhase, replicas: Sequence[ShopReplica]) -> None:
        """Put every replica on its slice of this phase."""
        with self._lock:
            self._phase = phase
            for replica in replicas:
                self.apply(replica)

    def apply(self, replica: ShopReplica, share: float = 1.0) -> None:
        """Put one replica on `share` of its slice. Before the first phase this does nothing."""
        with self._lock:
            if self._phase is None:
                return
            wanted = (replica.pid, self._phase.cores_of(replica.name) * share)
            current = self._applied.get(replica.label)
            if current == wanted:
                return
            if current and current[0] != replica.pid:
                self.remove(replica.label)  # an earlier process with this label has ended
            self.slices.put(self._prefix + replica.label, *wanted)
            self._applied[replica.label] = wanted

    def throttling(self, label: str) -> Throttling | None:
        """How much the slice of one replica has held it back so far; None without a slice or where nobody counts it."""
        with self._lock, contextlib.suppress(OSError):  # its group may go while it is read
            if label in self._applied:
                return self.slices.throttling(self._prefix + label)
        return None

    def remove(self, label: str) -> None:
        """Take the limit off one replica, if it has one."""
        with self._lock:
            if self._applied.pop(label, None) is not None:
                self.slices.drop(self._prefix + label)

    def remove_all(self) -> None:
        """Take all limits off: a loaded replica then drains in a moment; within its slice it takes many seconds."""
        with self._lock:
            self._phase = None
            for label in list(self._applied):
                self.remove(label)
