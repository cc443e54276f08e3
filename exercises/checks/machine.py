"""How busy the machine is with other programs. A late answer on a busy machine says nothing about a shop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Self

from exercises.checks.readings import WINDOW_SECONDS, Window
from loadtests.rig.cpus import usable_cpus

OTHERS_SHARE = 0.25
"""Share of all cores. When other programs use more, the machine counts as busy: on two cores, above half a core."""
STOLEN_SHARE = 0.1
LATE_WAKE_SECONDS = 0.25
"""When a sleeping process wakes up later than this, the machine counts as busy, whatever the cause is."""


@dataclass(frozen=True, slots=True)
class MachineLoad:
    """The worst values of some windows."""

    others: float
    stolen: float
    wake_delay: float
    cores: float

    @property
    def is_busy(self) -> bool:
        """Whether a late answer may be the machine's fault."""
        return (
            self.others > OTHERS_SHARE * self.cores
            or self.stolen > STOLEN_SHARE * self.cores
            or self.wake_delay > LATE_WAKE_SECONDS
        )

    def __str__(self) -> str:
        text = f"other programs used up to {self.others:.1f} of {self.cores:g} cores"
        if self.stolen > STOLEN_SHARE:
            text += f", the host took away {self.stolen:.1f}"
        if self.wake_delay > LATE_WAKE_SECONDS:
            text += f", a sleeping process woke up {self.wake_delay:.1f} s late"
        return text


class Watcher:
    """Knows the machine's load inside a `with` block.

    The readings come from a process of its own: a check with many threads would keep a thread of ours from reading at
    the right moment, and that looks like another program's work.
    """

    def __init__(self) -> None:
        self.cores = usable_cpus()
        self._windows: list[Window] = []
        self._thread = threading.Thread(target=self._collect, name="machine", daemon=True)

    def __enter__(self) -> Self:
        program = (sys.executable, "-P", "-m", "exercises.checks.readings", str(os.getpid()))
        self._reader = subprocess.Popen(  # noqa: S603 -- our own program
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._reader.stdin is not None
        self._reader.stdin.close()  # then it ends
        self._thread.join()
        self._reader.wait()

    def since(self, began: float) -> MachineLoad:
        """The worst values since `began` (time.monotonic()), with the window in which it lies."""
        seen = [window for window in self._windows if window.at >= began - WINDOW_SECONDS]
        return MachineLoad(
            max((window.others for window in seen), default=0.0),
            max((window.stolen for window in seen), default=0.0),
            max((window.wake_delay for window in seen), default=0.0),
            self.cores,
        )

    def _collect(self) -> None:
        assert self._reader.stdout is not None
        with self._reader.stdout as lines:
            for line in lines:
                self._windows.append(Window(**json.loads(line)))
