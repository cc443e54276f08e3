"""CPU slices: every replica gets the same stated share of a core, so that it behaves like a small machine.

There are four backends, and `detect` takes the first that works: cgroup v2, cgroup v1, a governor process that pauses
and resumes process groups, or no limit. It tries them instead of going by the platform's name, and every result names
the backend. A slice is applied when a replica is ready, because start-up is not compared.
"""

import contextlib
import os

from loadtests.rig.slices.backend import NoSlices, SliceError, Slices, Throttling
from loadtests.rig.slices.cgroups import CgroupSlices, open_cgroup
from loadtests.rig.slices.governed import GovernorSlices

__all__ = [
    "BACKENDS",
    "CgroupSlices",
    "GovernorSlices",
    "NoSlices",
    "SliceError",
    "Slices",
    "Throttling",
    "detect",
    "open_backend",
]

BACKENDS = ("cgroup2", "cgroup1", "governor", "none")


def open_backend(backend: str) -> Slices:
    """The backend of that name; SliceError says why it cannot be used here."""
    if backend == "none":
        return NoSlices()
    if backend == "governor":
        if not hasattr(os, "killpg"):
            raise SliceError("governor: this system has no process groups")
        return GovernorSlices()
    return open_cgroup(backend)


def detect() -> Slices:
    """The first backend that works on this machine."""
    for backend in BACKENDS:
        with contextlib.suppress(SliceError):
            return open_backend(backend)
    return NoSlices()
