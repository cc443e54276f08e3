"""A program that reads how busy the machine is, twice a second, and prints what others used: a JSON line a window.

    python -m exercises.checks.readings PID

PID is the process whose work, with that of its descendants, is not others' work. It ends when standard input does.
"""

from __future__ import annotations

import contextlib
import json
import select
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import psutil

from loadtests.rig.cpus import taken_from_us
from loadtests.rig.processes import machine_seconds

WINDOW_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Window:
    """The machine's load in one window of half a second."""

    at: float
    """Its end, by time.monotonic()."""
    others: float
    """Cores that other programs used."""
    stolen: float
    """Cores that a hypervisor took away."""
    wake_delay: float
    """Seconds by which the sleeping process woke up late."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Core seconds since the machine's start, at one moment."""

    at: float
    busy: float
    stolen: float
    ours: float

    @classmethod
    def now(cls, ours: OurProcesses) -> Reading:
        busy, stolen = machine_seconds()
        return cls(time.monotonic(), busy, stolen, ours.read())

    def minus(self, before: Reading) -> Window:
        seconds = max(self.at - before.at, 0.001)
        others = (self.busy - before.busy) - (self.ours - before.ours)
        return Window(
            self.at,
            taken_from_us(others / seconds),
            max(0.0, (self.stolen - before.stolen) / seconds),
            max(0.0, seconds - WINDOW_SECONDS),
        )


class OurProcesses:
    """The CPU time of a process and of all that it started, also of a worker whose parent was killed.

    Nobody of ours waits for such a worker: it belongs to the system's first process from then on, and what it used is
    in no sum when it has ended. So who was once ours stays ours, and the total never falls; otherwise its fall would
    look like other programs' work.
    """

    def __init__(self, first: psutil.Process) -> None:
        self._first = first
        self._known: dict[psutil.Process, Used] = {}
        self._total = 0.0

    def read(self) -> float:
        """CPU seconds so far. They never fall."""
        now = {process: used for process in self._alive() if (used := Used.by(process))}
        self._total += growth(self._known, now)
        self._known = now
        return self._total

    def _alive(self) -> set[psutil.Process]:
        found = {self._first}
        with contextlib.suppress(psutil.Error):
            found.update(self._first.children(recursive=True))
        for orphan in self._known.keys() - found:
            with contextlib.suppress(psutil.Error):
                found |= {orphan, *orphan.children(recursive=True)}
        return found


@dataclass(frozen=True, slots=True)
class Used:
    """CPU seconds of one process so far."""

    own: float
    waited_for: float
    """CPU seconds of ended children."""

    @classmethod
    def by(cls, process: psutil.Process) -> Used | None:
        """What a process used; None when it has ended."""
        try:
            times = process.cpu_times()
        except psutil.Error:
            return None
        children = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        return cls(times.user + times.system, children)

    def total(self) -> float:
        return self.own + self.waited_for


NOTHING = Used(0.0, 0.0)


def growth(before: Mapping[psutil.Process, Used], now: Mapping[psutil.Process, Used]) -> float:
    """CPU seconds that some processes and their children used between two readings, at least."""
    ended = [used for process, used in before.items() if process not in now]
    pairs = [(before.get(process, NOTHING), used) for process, used in now.items()]
    own = sum(used.own - earlier.own for earlier, used in pairs)
    # A child that was waited for moves from its own clock to its parent's, with what was counted before. When nobody of
    # ours waited for it, its last moments are lost.
    waited_for = sum(used.waited_for - earlier.waited_for for earlier, used in pairs)
    return own + max(0.0, waited_for - sum(map(Used.total, ended)))


def main(pid: int) -> None:
    """Print windows until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who started it
    ours = OurProcesses(psutil.Process(pid))
    before = Reading.now(ours)
    while not select.select([sys.stdin], [], [], WINDOW_SECONDS)[0]:
        now = Reading.now(ours)
        sys.stdout.write(f"{json.dumps(asdict(now.minus(before)))}\n")
        sys.stdout.flush()
        before = now


if __name__ == "__main__":
    main(int(sys.argv[1]))
