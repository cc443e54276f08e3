"""Disturbs a running trial from outside: little CPU for the generator, a killed replica, a slice that is not kept."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import psutil

from loadtests.rig import slices
from loadtests.rig.processes import group_pids
from loadtests.rig.shop import Shop

STARVED_CORES = 0.005  # less than the few milliseconds of CPU per second that this load costs the generator

Disturb = Callable[[Shop, Path], AbstractContextManager[None]]
"""Disturbs a running trial while the context lasts, given its shop and its folder."""


@contextmanager
def starve_generator(_shop: Shop, folder: Path) -> Iterator[None]:
    """Leave the generator almost no CPU."""
    (generator,) = (
        each for each in psutil.Process().children() if str(folder / "spec.json") in each.cmdline()
    )
    with closing(slices.open_backend("governor")) as slicer:  # a control group cannot give so little
        slicer.put("starved", generator.pid, STARVED_CORES)
        yield


@contextmanager
def kill_replica(shop: Shop, _folder: Path) -> Iterator[None]:
    """Kill the first replica."""
    os.killpg(shop.replicas()[0].pid, signal.SIGKILL)
    yield


def free_replica(slicer: slices.Slices) -> Disturb:
    """A disturbance that frees the first replica from its slice, in a way in which this backend could fail."""

    @contextmanager
    def free(shop: Shop, _folder: Path) -> Iterator[None]:
        replica = shop.replicas()[0].pid
        if isinstance(slicer, slices.CgroupSlices):
            for pid in group_pids(replica):
                (slicer.parent / "cgroup.procs").write_text(str(pid))
            yield
        elif isinstance(slicer, slices.GovernorSlices):
            os.kill(slicer.pid, signal.SIGSTOP)
            try:
                os.killpg(replica, signal.SIGCONT)
                yield
            finally:
                os.kill(slicer.pid, signal.SIGCONT)

    return free
