"""Slices kept by a governor process that pauses and resumes process groups, for where no cgroup can be written."""

import json
import subprocess
import sys

from loadtests.rig.slices.backend import SliceError, Throttling


class GovernorSlices:
    """Slices kept by `loadtests.rig.governor`. It is a separate process, so that our own work does not delay it."""

    backend = "governor"

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtests.rig.governor"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._pids: dict[str, int] = {}

    @property
    def pid(self) -> int:
        """The pid of the governor process."""
        return self._process.pid

    def put(self, name: str, pid: int, cores: float) -> None:
        self._pids[name] = pid
        self._send({"group": pid, "cores": cores})

    def drop(self, name: str) -> None:
        self._send({"group": self._pids.pop(name), "cores": None})

    def throttling(self, name: str) -> Throttling | None:  # noqa: ARG002 - of the protocol
        return None  # the governor does not count its pauses

    def close(self) -> None:
        if self._process.stdin is None or self._process.stdin.closed:
            return
        self._process.communicate()  # when its input closes, the governor resumes every group and ends

    def _send(self, order: dict[str, float | None]) -> None:
        """Send one order and wait until the governor has carried it out; SliceError when it has ended."""
        if self._process.stdin is None or self._process.stdout is None:
            raise SliceError("governor: has no pipes")
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise SliceError("governor: ended unexpectedly") from error
        if not self._process.stdout.readline():
            raise SliceError("governor: ended unexpectedly")
