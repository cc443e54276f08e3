"""CPU and memory of the processes that somebody clicked on. Nobody else's are read: each look costs milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

from exercises.checks.open_shop import Member

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Used:
    """What a process and those that it started use now."""

    cores: float | None
    """CPU seconds in a second; None at the first look, because it takes two."""
    mebibytes: float


class UsageMeter:
    """Keeps the CPU time of the last look to compare with."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._before: dict[int, tuple[float, float]] = {}

    def read(self, members: Sequence[Member]) -> dict[str, Used]:
        """By label; without those that have ended."""
        found, now = {}, {}
        for member in members:
            try:
                seconds, used = _of(psutil.Process(member.pid))
            except psutil.Error:
                continue
            now[member.pid] = at, _ = self._clock(), seconds
            found[member.label] = Used(self._cores(member.pid, at, seconds), used / MIB)
        self._before = now
        return found

    def _cores(self, pid: int, at: float, seconds: float) -> float | None:
        if pid not in self._before:
            return None
        before_at, before = self._before[pid]
        return max(0.0, seconds - before) / max(at - before_at, 0.001)


def _of(process: psutil.Process) -> tuple[float, int]:
    """CPU seconds since its begin, and resident bytes; a server's worker is a process that it started."""
    seconds, used = 0.0, 0
    for each in [process, *process.children(recursive=True)]:
        times = each.cpu_times()
        seconds += times.user + times.system
        used += each.memory_info().rss
    return seconds, used
