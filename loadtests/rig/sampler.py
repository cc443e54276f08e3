"""Samples the CPU and memory of groups of processes while a trial runs."""

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from loadtests.analysis.records import MACHINE_BUSY, MACHINE_STOLEN
from loadtests.rig.processes import cpu_seconds, handles_and_threads, machine_seconds, uss_bytes
from loadtests.rig.slices import Throttling

MIN_DISTANCE_SECONDS = 0.2
"""A full second this close to the end of a phase is not sampled: the end itself is."""

Groups = Mapping[str, Iterable[int]]
"""Name of a replica, the gateway or the generator → the pids of its processes."""


@dataclass(frozen=True)
class Sample:
    """One group at one moment: `at` is Unix time, `cpu` its CPU seconds so far, `uss` bytes of memory.

    `throttling` says how much its slice has held it back so far; None where that is not known.
    """

    at: float
    name: str
    cpu: float
    uss: int
    throttling: Throttling | None = None
    handles: int = 0
    """Open files and connections."""
    threads: int = 0


class CpuMeter:
    """Adds up the CPU time of groups of processes, ended processes included."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], float] = {}

    def read(self, name: str, pids: Iterable[int]) -> float:
        """The group's CPU seconds so far. It never falls, even when a worker was replaced."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                self._last[name, pid] = cpu_seconds(pid)
        return sum(used for (group, _), used in self._last.items() if group == name)


class Sampler(threading.Thread):
    """Samples every group at the given Unix times.

    Two more rows describe the machine, in core seconds: all that ran, and what a hypervisor took away. `note` gets
    the groups' names at each sample, and `throttling` is asked for each of them.
    """

    def __init__(
        self,
        groups: Callable[[], Groups],
        times: Iterable[float],
        note: Callable[[Collection[str]], None] = lambda _names: None,
        throttling: Callable[[str], Throttling | None] = lambda _name: None,
    ) -> None:
        super().__init__(name="sampler", daemon=True)
        self._note = note
        self._throttling = throttling
        self.samples: list[Sample] = []
        self._groups = groups
        self._times = sorted(times)
        self._ended = threading.Event()
        self._meter = CpuMeter()

    def run(self) -> None:
        """Sample until the last of the times or until `finish` is called."""
        for at in self._times:
            if self._ended.wait(max(0.0, at - time.time())):
                return
            self._sample()

    def finish(self) -> list[Sample]:
        """End the thread and return all samples."""
        self._ended.set()
        self.join()
        return self.samples

    def _sample(self) -> None:
        groups = {name: list(pids) for name, pids in self._groups().items()}
        self._note(groups)
        # First the CPU of all groups, close together: memory takes milliseconds for each and would delay the rest.
        at = time.time()
        cpu = {name: self._meter.read(name, pids) for name, pids in groups.items()}
        busy, stolen = machine_seconds()
        throttling = {name: self._throttling(name) for name in groups}
        uss = {name: sum(uss_bytes(pid) for pid in pids) for name, pids in groups.items()}
        kept = {name: [handles_and_threads(pid) for pid in pids] for name, pids in groups.items()}
        self.samples += [
            Sample(
                at,
                name,
                cpu[name],
                uss[name],
                throttling[name],
                sum(handles for handles, _ in kept[name]),
                sum(threads for _, threads in kept[name]),
            )
            for name in groups
        ]
        self.samples += [Sample(at, MACHINE_BUSY, busy, 0), Sample(at, MACHINE_STOLEN, stolen, 0)]


def sample_times(spans: Iterable[tuple[float, float]]) -> list[float]:
    """Unix times to sample at: the begin and the end of each span, so that phases have exact ends, and every second."""
    found: list[float] = []
    for begin, end in spans:
        seconds = (begin + n for n in range(1, int(end - begin) + 1))
        found += [begin, *(second for second in seconds if end - second > MIN_DISTANCE_SECONDS), end]
    return sorted(set(found))
