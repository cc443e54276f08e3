"""How busy the machine is with other programs. A late answer on a busy machine says nothing about a shop."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import psutil

from loadtests.rig.cpus import taken_from_us, usable_cpus
from loadtests.rig.processes import machine_seconds

WINDOW_SECONDS = 0.5
OTHERS_SHARE = 0.25
"""Share of all cores. When other programs use more, the machine counts as busy: on two cores, above half a core."""
STOLEN_SHARE = 0.1
LATE_WAKE_SECONDS = 0.25
"""When a sleeping thread wakes up later than this, the machine counts as busy, whatever the cause is."""


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
    """Seconds by which the sampling thread woke up late."""


@dataclass(frozen=True, slots=True)
class MachineLoad:
    """The worst values of some windows."""

    others: float
    stolen: float
    wake_delay: float
    cores: float

    @property
    def is_busy(self) -> bool:
        """Whether a late answer may be the machine's fault."""
        return (
            self.others > OTHERS_SHARE * self.cores
            or self.stolen > STOLEN_SHARE * self.cores
            or self.wake_delay > LATE_WAKE_SECONDS
        )

    def __str__(self) -> str:
        text = f"other programs used up to {self.others:.1f} of {self.cores:g} cores"
        if self.stolen > STOLEN_SHARE:
            text += f", the host took away {self.stolen:.1f}"
        if self.wake_delay > LATE_WAKE_SECONDS:
            text += f", a sleeping thread woke up {self.wake_delay:.1f} s late"
        return text


class Watcher:
    """Measures in a background thread inside a `with` block."""

    def __init__(self) -> None:
        self.cores = usable_cpus()
        self._windows: list[Window] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="machine", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def since(self, began: float) -> MachineLoad:
        """The worst values since `began` (time.monotonic()), with the window in which it lies."""
        seen = [window for window in self._windows if window.at >= began - WINDOW_SECONDS]
        return MachineLoad(
            max((window.others for window in seen), default=0.0),
            max((window.stolen for window in seen), default=0.0),
            max((window.wake_delay for window in seen), default=0.0),
            self.cores,
        )

    def _watch(self) -> None:
        ours = OurProcesses()
        before = _Reading.now(ours)
        while not self._end.wait(WINDOW_SECONDS):
            now = _Reading.now(ours)
            self._windows.append(now.minus(before))
            before = now


@dataclass(frozen=True, slots=True)
class _Reading:
    at: float
    busy: float
    stolen: float
    ours: float

    @classmethod
    def now(cls, ours: OurProcesses) -> _Reading:
        busy, stolen = machine_seconds()
        return cls(time.monotonic(), busy, stolen, ours.read())

    def minus(self, before: _Reading) -> Window:
        seconds = max(self.at - before.at, 0.001)
        others = (self.busy - before.busy) - (self.ours - before.ours)
        return Window(
            self.at,
            taken_from_us(others / seconds),
            max(0.0, (self.stolen - before.stolen) / seconds),
            max(0.0, seconds - WINDOW_SECONDS),
        )


class OurProcesses:
    """The CPU time of this process and of all that it started, also of a worker whose parent was killed.

    Nobody of ours waits for such a worker: it belongs to the system's first process from then on, and what it used is
    in no sum when it has ended. So who was once ours stays ours, and the total never falls; otherwise its fall would
    look like other programs' work.
    """

    def __init__(self) -> None:
        self._known: dict[psutil.Process, Used] = {}
        self._total = 0.0

    def read(self) -> float:
        """CPU seconds so far. They never fall."""
        now = {process: used for process in self._alive() if (used := Used.by(process))}
        self._total += growth(self._known, now)
        self._known = now
        return self._total

    def _alive(self) -> set[psutil.Process]:
        me = psutil.Process()
        found = {me, *me.children(recursive=True)}
        for orphan in self._known.keys() - found:
            with contextlib.suppress(psutil.Error):
                found |= {orphan, *orphan.children(recursive=True)}
        return found


@dataclass(frozen=True, slots=True)
class Used:
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


def growth(before: Mapping[psutil.Process, Used], now: Mapping[psutil.Process, Used]) -> float:
    """CPU seconds that some processes and their children used between two readings, at least."""
    # A child that was waited for moves from its own clock to its parent's: the sum of both stays true. A child for
    # which nobody of ours waited is missing in the sum: then what the living used is the better bound.
    with_ended = sum(map(Used.total, now.values())) - sum(map(Used.total, before.values()))
    living = sum(used.own - before[process].own for process, used in now.items() if process in before)
    return max(with_ended, living)
