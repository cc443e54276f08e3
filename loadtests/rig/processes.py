"""What processes and the machine use: CPU seconds and memory, at this moment.

CPU time comes from the process's own clock where the system has one (Linux: nanoseconds), otherwise from psutil. On
Linux psutil counts hundredths of a second, which is too coarse for a slice of 0.1 cores over a few seconds.
"""

import contextlib
import os
import sys
import time
from collections.abc import Collection
from typing import Any

import psutil


def cpu_seconds(pid: int) -> float:
    """CPU time of one process, ended threads included; ProcessLookupError when the process has ended."""
    if sys.platform == "linux":
        # The kernel's number of a process's CPU clock, as clock_getcpuclockid(3) returns it.
        try:
            return time.clock_gettime((~pid << 3) | 2)
        except OSError as error:
            raise ProcessLookupError(pid) from error
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error as error:
        raise ProcessLookupError(pid) from error
    return float(times.user + times.system)


def uss_bytes(pid: int) -> int:
    """The unique set size: bytes that would be free if this process ended. 0 when it has ended or may not be read."""
    try:
        return int(psutil.Process(pid).memory_full_info().uss)
    except psutil.Error:
        return 0


def handles_and_threads(pid: int) -> tuple[int, int]:
    """Open files and connections, and threads; zeros when the process has ended or may not be read."""
    try:
        process = psutil.Process(pid)
        return process.num_fds(), process.num_threads()
    except psutil.Error:
        return 0, 0


def machine_seconds() -> tuple[float, float]:
    """Core seconds since the machine's start, on the CPUs of this process: all that ran, and what a hypervisor took."""
    cpus = psutil.cpu_times(percpu=True)
    if hasattr(os, "sched_getaffinity"):
        cpus = [times for number, times in enumerate(cpus) if number in os.sched_getaffinity(0)] or cpus
    each = [_busy_and_stolen(times) for times in cpus]
    return sum(busy for busy, _ in each), sum(stolen for _, stolen in each)


def _busy_and_stolen(cpu: Any) -> tuple[float, float]:
    idle = cpu.idle + getattr(cpu, "iowait", 0.0)
    stolen = getattr(cpu, "steal", 0.0)
    # Linux counts the time of guests in user time too, so it must not be added again.
    guests = getattr(cpu, "guest", 0.0) + getattr(cpu, "guest_nice", 0.0)
    return sum(cpu) - idle - stolen - guests, stolen


def group_pids(leader: int) -> list[int]:
    """The processes of `leader`'s process group: a server's parent process and its worker."""
    return pids_by_group({leader})[leader]


def pids_by_group(leaders: Collection[int]) -> dict[int, list[int]]:
    """Leader → the processes of its process group, from one pass over all processes."""
    found: dict[int, list[int]] = {leader: [] for leader in leaders}
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            group = os.getpgid(pid)
            if group in found:
                found[group].append(pid)
    return found
