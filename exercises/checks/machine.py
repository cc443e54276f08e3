"""How busy the machine is with other programs. A late answer on a busy machine says nothing about a shop."""

from __future__ import annotations

import contextlib
import threading
import time
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
        before = _Reading.now()
        while not self._end.wait(WINDOW_SECONDS):
            now = _Reading.now()
            self._windows.append(now.minus(before))
            before = now


@dataclass(frozen=True, slots=True)
class _Reading:
    at: float
    busy: float
    stolen: float
    ours: float

    @classmethod
    def now(cls) -> _Reading:
        busy, stolen = machine_seconds()
        return cls(time.monotonic(), busy, stolen, _ours())

    def minus(self, before: _Reading) -> Window:
        seconds = max(self.at - before.at, 0.001)
        others = (self.busy - before.busy) - (self.ours - before.ours)
        return Window(
            self.at,
            taken_from_us(others / seconds),
            max(0.0, (self.stolen - before.stolen) / seconds),
            max(0.0, seconds - WINDOW_SECONDS),
        )


def _ours() -> float:
    """CPU seconds of this process and its descendants, with ended children that were waited for."""
    me = psutil.Process()
    total = 0.0
    for process in [me, *me.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
            total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return total
