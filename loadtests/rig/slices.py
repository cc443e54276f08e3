"""CPU slices: every replica gets the same stated share of a core, so that it behaves like a small machine.

Four ways, tried in this order and never guessed from the platform's name: cgroup v2, cgroup v1, a governor
process that pauses and resumes process groups, and none (said so in every result). Slices are applied once
a replica is ready: start-up is not what is compared.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from loadtests.rig.processes import session_pids

PERIOD_MICROSECONDS = 20_000  # short, so that a stall at the end of a quota stays short
SMALLEST_QUOTA_MICROSECONDS = 1_000  # the kernel refuses less
PREFIX = "shop-lab-"
BACKENDS = ("cgroup2", "cgroup1", "governor", "none")


class SliceError(Exception):
    """A backend that cannot be used here; the sentence says why."""


class Slices(Protocol):
    """One backend. `pid` is a replica's first process, the leader of its process group."""

    backend: str

    def put(self, name: str, pid: int, cores: float) -> None:
        """Give the process group of `pid` that many cores; calling again changes the number."""

    def drop(self, name: str) -> None:
        """Take the slice off; the processes run on without a limit."""

    def close(self) -> None:
        """Take off every slice and leave nothing behind."""


def quota(cores: float) -> int:
    """Microseconds of CPU per period that make up `cores`."""
    return max(SMALLEST_QUOTA_MICROSECONDS, round(cores * PERIOD_MICROSECONDS))


class CgroupSlices:
    """A cgroup per replica, version 1 or 2, named after our process so that the next run finds leftovers."""

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
        if self.backend == "cgroup2":
            (group / "cpu.max").write_text(f"{quota(cores)} {PERIOD_MICROSECONDS}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_MICROSECONDS))
            (group / "cpu.cfs_quota_us").write_text(str(quota(cores)))
        for each in session_pids(pid) or [pid]:
            (group / "cgroup.procs").write_text(str(each))

    def drop(self, name: str) -> None:
        _empty_and_remove(self._groups.pop(name))

    def close(self) -> None:
        for name in list(self._groups):
            self.drop(name)


def _empty_and_remove(group: Path, deadline_seconds: float = 2.0) -> None:
    """Move what still runs in `group` to its parent and remove it; a dying process keeps it for a moment."""
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
                return  # named after this run: the next start removes it
            time.sleep(0.02)
        else:
            return


def sweep(parent: Path) -> int:
    """Remove groups below `parent` whose lab is no longer running; returns how many."""
    leftovers = [each for each in parent.glob(f"{PREFIX}*") if not psutil.pid_exists(_owner(each))]
    for group in leftovers:
        _empty_and_remove(group)
    return len(leftovers)


def _owner(group: Path) -> int:
    found = re.match(rf"{PREFIX}(\d+)-", group.name)
    return int(found[1]) if found else 0


@dataclass(frozen=True)
class Mount:
    """Where a cgroup hierarchy with the CPU controller is mounted and where in it this process is."""

    backend: str
    root: Path
    own: Path

    def candidates(self) -> Iterator[Path]:
        """Directories that could hold our groups, nearest first: users may write in a delegated part."""
        own = self.own
        while own != self.root and self.root in own.parents:
            yield own
            own = own.parent
        yield self.root


def find_mounts(mounts: str, cgroups: str) -> list[Mount]:
    """Parse /proc/self/mounts and /proc/self/cgroup; version 2 first."""
    own = {}
    for line in cgroups.splitlines():
        _, controllers, path = line.split(":", 2)
        own[controllers] = path.lstrip("/")
    found = []
    for line in mounts.splitlines():
        _, place, kind, options = line.split()[:4]
        if kind == "cgroup2":
            found.append(Mount("cgroup2", Path(place), Path(place) / own.get("", "")))
        elif kind == "cgroup" and "cpu" in options.split(","):
            path = next((where for names, where in own.items() if "cpu" in names.split(",")), "")
            found.append(Mount("cgroup1", Path(place), Path(place) / path))
    return sorted(found, key=lambda mount: mount.backend, reverse=True)


def _open_cgroup(backend: str) -> Slices:
    try:
        mounts = find_mounts(
            Path("/proc/self/mounts").read_text(encoding="utf-8"),
            Path("/proc/self/cgroup").read_text(encoding="utf-8"),
        )
    except OSError as error:
        raise SliceError(f"{backend}: this system has no control groups") from error
    for mount in mounts:
        if mount.backend != backend:
            continue
        for parent in mount.candidates():
            with contextlib.suppress(OSError):
                sweep(parent)
                _enable_cpu(mount.backend, parent)
                slices = CgroupSlices(backend, parent)
                _try(slices)
                return slices
    raise SliceError(f"{backend}: no control group with a CPU limit can be written here")


def _enable_cpu(backend: str, parent: Path) -> None:
    if backend == "cgroup2" and "cpu" not in (parent / "cgroup.subtree_control").read_text().split():
        (parent / "cgroup.subtree_control").write_text("+cpu")


def _try(slices: Slices) -> None:
    """Put a sleeping process into a slice: what is allowed is known only by doing it (else OSError)."""
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", "import time; time.sleep(30)"], start_new_session=True
    )
    try:
        slices.put("probe", child.pid, 0.5)
    finally:
        child.kill()
        child.wait()
        slices.close()


class GovernorSlices:
    """Slices kept by `loadtests.rig.governor`, a process of its own so that our work does not delay its ticks."""

    backend = "governor"

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtests.rig.governor"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._names: dict[str, int] = {}

    @property
    def pid(self) -> int:
        """Of the governor's process."""
        return self._process.pid

    def put(self, name: str, pid: int, cores: float) -> None:
        self._names[name] = pid
        self._tell({"group": pid, "cores": cores})

    def drop(self, name: str) -> None:
        self._tell({"group": self._names.pop(name), "cores": None})

    def close(self) -> None:
        if self._process.stdin is None or self._process.stdin.closed:
            return
        self._process.communicate()  # closing its input is the order to resume everyone and end

    def _tell(self, order: dict[str, float | None]) -> None:
        """Send one order and wait until it is carried out."""
        if self._process.stdin is None or self._process.stdout is None:
            raise SliceError("governor: has no pipes")
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise SliceError("governor: ended unexpectedly") from error
        if not self._process.stdout.readline():
            raise SliceError("governor: ended unexpectedly")


class NoSlices:
    """No limit at all: replicas compete for the machine. Results say so."""

    backend = "none"

    def put(self, name: str, pid: int, cores: float) -> None:
        pass

    def drop(self, name: str) -> None:
        pass

    def close(self) -> None:
        pass


def open_backend(backend: str) -> Slices:
    """The backend of that name, tried out; SliceError says why not."""
    if backend == "none":
        return NoSlices()
    if backend == "governor":
        if not hasattr(os, "killpg"):
            raise SliceError("governor: this system has no process groups")
        return GovernorSlices()
    return _open_cgroup(backend)


def detect() -> Slices:
    """The first backend that works here."""
    for backend in BACKENDS:
        with contextlib.suppress(SliceError):
            return open_backend(backend)
    return NoSlices()
