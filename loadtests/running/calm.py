"""Waits before a trial until the machine is calm, so that fewer trials are void.

No process of ours runs between two trials, so all CPU time used then belongs to others. The wait does not depend on
which system comes next, so it favours none. It is bounded: on a machine that is never calm the trials run all the
same, and `loadtests.analysis.validity` judges afterwards what was taken from them.
"""

import time
from collections.abc import Callable

from loadtests.analysis.validity import MAX_STOLEN
from loadtests.rig.cpus import taken_from_us, usable_cpus
from loadtests.rig.processes import machine_seconds

WINDOW_SECONDS = 0.5
MAX_OTHERS = 0.15
"""Share of the machine that other programs may use: a desktop with an open browser is calm enough."""
MAX_WAIT_SECONDS = 15.0
"""Before one trial."""

Observe = Callable[[float], tuple[float, float]]
"""Observes the machine for so many seconds; returns the shares of it that others used and a hypervisor took."""


def observe(seconds: float) -> tuple[float, float]:
    """`Observe` for this machine."""
    began, busy, stolen = time.monotonic(), *machine_seconds()
    time.sleep(seconds)
    busy_now, stolen_now = machine_seconds()
    elapsed, cores = time.monotonic() - began, usable_cpus()
    return taken_from_us((busy_now - busy) / elapsed) / cores, (stolen_now - stolen) / elapsed / cores


class WaitBudget:
    """The seconds that a run may still spend on waiting (`left`), and those that it has spent (`waited`)."""

    def __init__(self, seconds: float, observe: Observe = observe) -> None:
        self.left = seconds
        self.waited = 0.0
        self._observe = observe

    def disturbance(self) -> str:
        """What disturbs the machine now; empty when it is calm or no time to wait is left."""
        return disturbance(*self._observe(WINDOW_SECONDS)) if self.left > 0 else ""

    def wait(self) -> None:
        """After a disturbance was seen: wait until the machine is calm or the time is up."""
        longest = min(self.left, MAX_WAIT_SECONDS)
        waited = WINDOW_SECONDS  # the window in which the disturbance was seen
        while waited < longest and self.disturbance():
            waited += WINDOW_SECONDS
        self.left -= waited
        self.waited += waited


def disturbance(others: float, stolen: float) -> str:
    """What disturbs the machine, given the shares of it that were used; empty when it is calm."""
    if stolen > MAX_STOLEN:
        return f"a hypervisor takes {stolen:.0%} of it"
    if others > MAX_OTHERS:
        return f"other programs use {others:.0%} of it"
    return ""
