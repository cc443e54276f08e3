"""The load generator of a trial: a process with a line protocol on its standard input and output."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.planning.trials import Trial


class TrialError(Exception):
    """A trial that could not be run; the message says why."""


@dataclass
class GeneratorProcess:
    """The running generator, and the file that it writes its errors to."""

    process: subprocess.Popen[str]
    errors: Path

    def order(self, line: str) -> None:
        """Send one order."""
        if self.process.stdin is None:
            raise TrialError("The generator has no standard input.")
        with contextlib.suppress(BrokenPipeError):  # it ended; `expect` says why
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()

    def expect(self, start: str, seconds: float) -> None:
        """Wait at most so many seconds for a line that begins with `start`.

        Otherwise the process is killed, and TrialError holds the last line of its errors.
        """
        # A blocking read bounded by a timer: select does not see what the text layer has buffered.
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        try:
            line = self.process.stdout.readline() if self.process.stdout else ""
        finally:
            timer.cancel()
        if not line.startswith(start):
            errors = self.errors.read_text(encoding="utf-8").strip().splitlines()
            raise TrialError(
                f"The load generator ended early: {errors[-1] if errors else 'it wrote nothing'}"
            )


@contextlib.contextmanager
def generator(trial: Trial, folder: Path, processes: int = 1) -> Iterator[GeneratorProcess]:
    """Start the generator with its specification; it loads while the fleet boots, and is killed afterwards.

    With several `processes` it is the parent of as many workers, which are in its process group.
    """
    specification = _specification(trial, folder) | {"processes": processes}
    (folder / "spec.json").write_text(json.dumps(specification, indent=1), encoding="utf-8")
    errors = folder / "generator.log"
    with errors.open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - our own module with a file that we wrote
            [sys.executable, "-m", "loadtests.load.generate", str(folder / "spec.json")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C is for the lab, which then ends the generator
        )
    try:
        yield GeneratorProcess(process, errors)
    finally:
        if process.poll() is None or processes > 1:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _specification(trial: Trial, folder: Path) -> dict[str, Any]:
    """What `loadtests.load.generate` reads: the load of each phase, and where to write the log of requests."""
    return {
        "seed": trial.seed,
        "users": trial.users,
        "out": str(folder / "requests.csv.gz"),
        "timeout_seconds": trial.timeout_seconds,
        "drain_seconds": trial.drain_seconds,
        "controlled": True,
        "phases": [
            {
                "name": f"{p.experiment}/{p.name}",
                "seconds": p.seconds,
                "rates": p.rates,
                "shape": p.shape,
                "most": p.most,
                "curve": p.curve,
                "curve_of": p.curve_of,
            }
            for p in trial.phases
        ],
    }
