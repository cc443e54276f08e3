"""Runs programs for a check in a workspace. One that takes too long is killed with all processes it started."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from exercises.checks.checking import Ran
from microservices.launcher.environment import inherited

TIMED_OUT = 124


def run(arguments: tuple[str, ...], folder: Path, env: Mapping[str, str], timeout: float) -> Ran:
    """Run the interpreter with these arguments, in a process group of its own."""
    started = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 -- the interpreter, on a learner's own machine
        [sys.executable, *arguments],
        cwd=folder,
        env={**inherited(os.environ), **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
        status = process.returncode
    except subprocess.TimeoutExpired:
        _end(process)
        out, err = process.communicate()
        status = TIMED_OUT
    except BaseException:
        _end(process)
        process.wait()
        raise
    finally:
        _end(process)  # also what it left in the background
    shown = " ".join(["python", *(shlex.quote(argument) for argument in arguments)])
    # Line ends stay as they are: to a program that reads this output they are a part of it.
    return Ran(
        shown,
        status,
        out.decode(errors="replace"),
        err.decode(errors="replace"),
        time.perf_counter() - started,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
