"""Measures the CPU of replicas between two looks at them, as the metrics server of a cluster does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from microservices.autoscaler.replica_count import Usage
from microservices.launcher.process import cpu_seconds

MILLI = 1000


@dataclass(frozen=True, slots=True)
class _Reading:
    """CPU seconds that a replica's processes have used, at a time."""

    at: float
    seconds: float
    pid: int


class UsageMeter:
    """Gives the average usage since the look before; nothing for a replica that was started in between."""

    def __init__(self) -> None:
        self._last: dict[str, _Reading] = {}

    def read(self, name: str, pid: int, pids: Iterable[int], now: float) -> Usage | None:
        """The usage of replica `name`, whose first process is `pid`, at `now` (seconds on the caller's clock)."""
        seconds = cpu_seconds(pids)
        before = self._last.get(name)
        self._last[name] = _Reading(now, seconds, pid)
        if before is None or before.pid != pid or now <= before.at:
            return None
        window = now - before.at
        # A worker that was replaced takes its CPU seconds with it.
        return Usage(round(max(0.0, seconds - before.seconds) / window * MILLI), now, window)

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget the replicas that are gone."""
        self._last = {name: self._last[name] for name in names if name in self._last}
