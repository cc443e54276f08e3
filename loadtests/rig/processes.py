"""What processes use: CPU seconds and memory of their own, sampled while a trial runs.

CPU comes from the process's own clock where the system has one (Linux: nanoseconds), else from psutil,
which on Linux counts in hundredths of a second: too coarse for a 0.1-core slice over a few seconds.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import psutil

from loadtests.analysis.records import MACHINE_BUSY, MACHINE_STOLEN

Groups = Mapping[str, Iterable[int]]


def cpu_seconds(pid: int) -> float:
    """CPU time of one process, ended threads included; ProcessLookupError when it is gone."""
    if sys.platform == "linux":
        # The kernel's numbering of a process's CPU clock, as clock_getcpuclockid(3) returns it.
        try:
            return time.clock_gettime((~pid << 3) | 2)
        except OSError as error:
            raise ProcessLookupError(pid) from error
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error as error:
        raise ProcessLookupError(pid) from error
    return float(times.user + times.system)


def own_memory(pid: int) -> int:
    """Bytes that would be free if this process ended (USS); 0 when it is gone or may not be read."""
    try:
        return int(psutil.Process(pid).memory_full_info().uss)
    except psutil.Error:
        return 0


def session_pids(leader: int) -> list[int]:
    """The processes of `leader`'s process group: a server's parent and its worker."""
    return members({leader})[leader]


def members(leaders: Collection[int]) -> dict[int, list[int]]:
    """The processes of each of these process groups, by one look at all processes."""
    found: dict[int, list[int]] = {leader: [] for leader in leaders}
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            group = os.getpgid(pid)
            if group in found:
                found[group].append(pid)
    return found


@dataclass(frozen=True)
class Sample:
    """One process group at one moment: `at` is Unix time, `cpu` counts up from the trial's first sample."""

    at: float
    name: str
    cpu: float
    uss: int


class Meter:
    """Adds up the CPU of groups of processes, keeping what ended ones had used."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], float] = {}

    def read(self, name: str, pids: Iterable[int]) -> float:
        """The group's CPU seconds so far; never falls, also when a worker was replaced."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                self._last[name, pid] = cpu_seconds(pid)
        return sum(used for (group, _), used in self._last.items() if group == name)


APART_SECONDS = 0.2  # a whole second that falls on a phase's end would sample twice


def machine_seconds() -> tuple[float, float]:
    """Core seconds since the machine's start: everything that ran, and what a hypervisor took away."""
    machine = psutil.cpu_times()
    idle = machine.idle + getattr(machine, "iowait", 0.0)
    stolen = getattr(machine, "steal", 0.0)
    # Linux counts guests inside user time as well; they are not added again.
    guests = getattr(machine, "guest", 0.0) + getattr(machine, "guest_nice", 0.0)
    return sum(machine) - idle - stolen - guests, stolen


class Sampler(threading.Thread):
    """Samples every group once a second and at the moments asked for, so that phases have exact ends.

    Two rows describe the machine itself, in core seconds: everything that ran, and what a hypervisor took
    away.
    """

    def __init__(
        self,
        groups: Callable[[], Groups],
        moments: Iterable[float],
        note: Callable[[Collection[str]], None] = lambda _names: None,
    ) -> None:
        super().__init__(name="sampler", daemon=True)
        self._note = note
        self.samples: list[Sample] = []
        self._groups = groups
        self._moments = sorted(moments)
        self._ended = threading.Event()
        self._meter = Meter()

    def run(self) -> None:
        """Sample until the last moment has passed or `finish` is called."""
        for moment in self._moments:
            if self._ended.wait(max(0.0, moment - time.time())):
                return
            self._sample()

    def finish(self) -> list[Sample]:
        """End the thread and return every sample."""
        self._ended.set()
        self.join()
        return self.samples

    def _sample(self) -> None:
        groups = {name: list(pids) for name, pids in self._groups().items()}
        self._note(groups)
        # CPU of all groups first, close together; memory takes milliseconds each and would skew the last
        # ones.
        at = time.time()
        cpu = {name: self._meter.read(name, pids) for name, pids in groups.items()}
        busy, stolen = machine_seconds()
        uss = {name: sum(own_memory(pid) for pid in pids) for name, pids in groups.items()}
        self.samples += [Sample(at, name, cpu[name], uss[name]) for name in groups]
        self.samples += [Sample(at, MACHINE_BUSY, busy, 0), Sample(at, MACHINE_STOLEN, stolen, 0)]


def moments(spans: Iterable[tuple[float, float]]) -> list[float]:
    """Unix times to sample at: where each of the spans begins and ends, and every second in it."""
    found: list[float] = []
    for begin, end in spans:
        seconds = (begin + n for n in range(1, int(end - begin) + 1))
        found += [begin, *(second for second in seconds if end - second > APART_SECONDS), end]
    return sorted(set(found))
