"""Waits for a calm machine before a trial, as a careful person would: a trial that is sure to be void need not begin.

Nothing of ours runs between two trials, so whatever is busy then is somebody else. Which system comes next plays no
part in the waiting, so it favours none. It is bounded: on a machine that is never calm the trials run all the same,
and what was taken from them is judged afterwards (`loadtests.analysis.validity`).
"""

import time
from collections.abc import Callable

import psutil

from loadtests.analysis.validity import MAX_STOLEN
from loadtests.rig.processes import machine_seconds

WINDOW_SECONDS = 0.5
MAX_OTHERS = 0.15
"""Share of the machine that other programs may use: a desktop with a browser open is calm enough."""
LONGEST_SECONDS = 15.0
"""Before one trial."""

Look = Callable[[float], tuple[float, float]]
"""Watches for so many seconds; the shares of the machine that other programs and a hypervisor took meanwhile."""


def look(seconds: float) -> tuple[float, float]:
    """As `Look` says, on this machine."""
    began, busy, stolen = time.monotonic(), *machine_seconds()
    time.sleep(seconds)
    busy_now, stolen_now = machine_seconds()
    machine = (time.monotonic() - began) * (psutil.cpu_count() or 1)
    return (busy_now - busy) / machine, (stolen_now - stolen) / machine


class Patience:
    """The seconds of waiting that a run may spend in all, asked before each trial."""

    def __init__(self, seconds: float, look: Look = look) -> None:
        self.left = seconds
        self.waited = 0.0
        self._look = look

    def disturbance(self) -> str:
        """What disturbs the machine just now; empty when it is calm, or nothing is left to wait with."""
        return disturbance(*self._look(WINDOW_SECONDS)) if self.left > 0 else ""

    def wait(self) -> None:
        """Wait until the machine is calm, or for as long as is allowed."""
        longest = min(self.left, LONGEST_SECONDS)
        waited = WINDOW_SECONDS  # somebody has just looked
        while waited < longest and self.disturbance():
            waited += WINDOW_SECONDS
        self.left -= waited
        self.waited += waited


def disturbance(others: float, stolen: float) -> str:
    """What disturbs the machine, given shares of it; empty when it is calm."""
    if stolen > MAX_STOLEN:
        return f"a hypervisor takes {stolen:.0%} of it"
    if others > MAX_OTHERS:
        return f"other programs use {others:.0%} of it"
    return ""
