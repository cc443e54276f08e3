"""The CPUs that this process may use: those of its affinity, as far as the quotas of its control groups allow.

A container or `taskset` gives less than the machine has. Who divides load by the machine's CPUs then takes a machine
that is full for one that is idle.
"""

import contextlib
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc/self")


@dataclass(frozen=True)
class Mount:
    """A mounted cgroup hierarchy with the CPU controller: its root, and this process's own group in it."""

    backend: str
    root: Path
    own: Path

    def candidates(self) -> Iterator[Path]:
        """The own group and those above it, nearest first. In a container some may not be visible."""
        own = self.own
        while own != self.root and self.root in own.parents:
            yield own
            own = own.parent
        yield self.root


def find_mounts(mounts: str, cgroups: str) -> list[Mount]:
    """Parse the text of /proc/self/mounts and of /proc/self/cgroup; version 2 comes first."""
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


def read_mounts() -> list[Mount]:
    """The hierarchies of this system; OSError where there are none, as on macOS."""
    mounts, cgroups = PROC / "mounts", PROC / "cgroup"
    return find_mounts(mounts.read_text(encoding="utf-8"), cgroups.read_text(encoding="utf-8"))


def allowed_cpus() -> int:
    """The number of CPUs that the scheduler may run this process on, as os.process_cpu_count() counts them."""
    count = getattr(os, "process_cpu_count", None)  # Python 3.13
    if count is not None:
        return count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_cpus() -> float:
    """The cores that this process may use; a quota may leave a part of one."""
    quota = math.inf
    with contextlib.suppress(OSError):
        quota = smallest_quota(read_mounts())
    cores = min(float(allowed_cpus()), quota)
    return round(cores, 2)


def taken_from_us(cores: float) -> float:
    """How many of the usable cores others take who use so many `cores`: they may have those beyond our quota."""
    return max(0.0, cores - (allowed_cpus() - usable_cpus()))


def smallest_quota(mounts: Iterable[Mount]) -> float:
    """The cores that the tightest of the groups allows; infinity without a quota."""
    return min((_quota(group) for mount in mounts for group in mount.candidates()), default=math.inf)


def _quota(group: Path) -> float:
    with contextlib.suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text(encoding="utf-8").split()
        return int(quota) / int(period)  # a quota of "max" is no number
    with contextlib.suppress(OSError, ValueError):
        quota, period = ((group / f"cpu.cfs_{part}_us").read_text() for part in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    return math.inf
