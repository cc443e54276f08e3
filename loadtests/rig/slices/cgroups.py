"""Slices as Linux control groups, version 1 or 2: a kernel quota of CPU time in each period."""

import contextlib
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil

from loadtests.rig.cpus import read_mounts
from loadtests.rig.processes import group_pids
from loadtests.rig.slices.backend import SliceError, Slices, Throttling

PERIOD_MICROSECONDS = 20_000  # short, so that a process whose quota is used up stands still for a short time
MIN_QUOTA_MICROSECONDS = 1_000  # the kernel refuses less
MAX_PERIOD_MICROSECONDS = 1_000_000  # the kernel refuses more
BURST_FILES = ("cpu.max.burst", "cpu.cfs_burst_us")
PREFIX = "shop-lab-"


def quota(cores: float) -> tuple[int, int]:
    """Microseconds of CPU, and the microseconds of the period in which they may be used: together `cores`.

    A slice so small that the kernel would refuse its quota gets a longer period, at most the kernel's longest.
    """
    period = PERIOD_MICROSECONDS
    if cores * period < MIN_QUOTA_MICROSECONDS:
        period = min(MAX_PERIOD_MICROSECONDS, math.ceil(MIN_QUOTA_MICROSECONDS / cores))
    return max(MIN_QUOTA_MICROSECONDS, round(cores * period)), period


class CgroupSlices:
    """A cgroup per replica. Its name holds the lab's pid, so that a later run can find and remove leftovers."""

    def __init__(self, backend: str, parent: Path) -> None:
        self.backend = backend
        self.parent = parent
        self._groups: dict[str, Path] = {}

    def put(self, name: str, pid: int, cores: float) -> None:
        group = self._groups.get(name)
        if group is None:
            group = self.parent / f"{PREFIX}{os.getpid()}-{name}"
            group.mkdir(exist_ok=True)
            self._groups[name] = group
        limit, period = quota(cores)
        _write_burst(group, 0)  # it may never be larger than the quota, which may become smaller now
        if self.backend == "cgroup2":
            (group / "cpu.max").write_text(f"{limit} {period}")
        else:
            # The smallest quota first: with the old one, the new period could be more than the parent's share.
            (group / "cpu.cfs_quota_us").write_text(str(MIN_QUOTA_MICROSECONDS))
            (group / "cpu.cfs_period_us").write_text(str(period))
            (group / "cpu.cfs_quota_us").write_text(str(limit))
        _write_burst(group, limit)
        for each in group_pids(pid) or [pid]:
            (group / "cgroup.procs").write_text(str(each))

    def drop(self, name: str) -> None:
        _empty_and_remove(self._groups.pop(name))

    def throttling(self, name: str) -> Throttling | None:
        group = self._groups.get(name)
        if group is None:
            return None
        counts = dict(line.split() for line in (group / "cpu.stat").read_text(encoding="utf-8").splitlines())
        seconds = (
            int(counts["throttled_usec"]) / 1e6
            if self.backend == "cgroup2"
            else int(counts["throttled_time"]) / 1e9
        )
        return Throttling(int(counts["nr_throttled"]), seconds, _pressure_seconds(group))

    def close(self) -> None:
        for name in list(self._groups):
            self.drop(name)


def _write_burst(group: Path, microseconds: int) -> None:
    """Let a process that was idle use up to this much more in one period, where the kernel can (Linux 5.14).

    Its mean stays within the slice. Without it, a request that needs a little more than one quota is stopped in the
    middle although the process was idle before, and the tail of a quiet day shows the period and not the shop.
    """
    for name in BURST_FILES:
        if (file := group / name).exists():
            with contextlib.suppress(OSError):
                file.write_text(str(microseconds))


def _pressure_seconds(group: Path) -> float | None:
    """The time in which some process of the group waited for CPU (version 2 only): `some … total=MICROSECONDS`."""
    try:
        first = (group / "cpu.pressure").read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError):
        return None
    return int(first.rpartition("total=")[2]) / 1e6


def open_cgroup(backend: str) -> Slices:
    """Slices below the nearest control group that this user may write; SliceError when there is none."""
    try:
        mounts = read_mounts()
    except OSError as error:
        raise SliceError(f"{backend}: this system has no control groups") from error
    for mount in mounts:
        if mount.backend != backend:
            continue
        for parent in mount.candidates():
            with contextlib.suppress(OSError):
                remove_leftovers(parent)
                _enable_cpu(mount.backend, parent)
                slices = CgroupSlices(backend, parent)
                _try(slices)
                return slices
    raise SliceError(f"{backend}: no control group with a CPU limit can be written here")


def remove_leftovers(parent: Path) -> int:
    """Remove the groups below `parent` whose lab has ended; returns how many."""
    leftovers = [each for each in parent.glob(f"{PREFIX}*") if not psutil.pid_exists(_owner(each))]
    for group in leftovers:
        _empty_and_remove(group)
    return len(leftovers)


def _owner(group: Path) -> int:
    found = re.match(rf"{PREFIX}(\d+)-", group.name)
    return int(found[1]) if found else 0


def _empty_and_remove(group: Path, deadline_seconds: float = 2.0) -> None:
    """Move what still runs in `group` to its parent and remove it. An exiting process delays this for a moment."""
    until = time.monotonic() + deadline_seconds
    while True:
        with contextlib.suppress(OSError):
            for pid in (group / "cgroup.procs").read_text().split():
                (group.parent / "cgroup.procs").write_text(pid)
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > until:
                return  # the next run removes it by its name
            time.sleep(0.02)
        else:
            return


def _enable_cpu(backend: str, parent: Path) -> None:
    if backend == "cgroup2" and "cpu" not in (parent / "cgroup.subtree_control").read_text().split():
        (parent / "cgroup.subtree_control").write_text("+cpu")


def _try(slices: Slices) -> None:
    """Put a sleeping process into a slice: only the attempt shows what is allowed. OSError when it is not."""
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", "import time; time.sleep(30)"], start_new_session=True
    )
    try:
        slices.put("probe", child.pid, 0.5)
    finally:
        child.kill()
        child.wait()
        slices.close()
