"""Starts the commands that the page's buttons stand for: the command line itself, each in a process of its own."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MAX_TEXT = 100_000
"""Characters of a command's output that are kept."""
STOP_SECONDS = 3.5
"""A command ends within three seconds of Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    words: tuple[str, ...]
    status: int
    out: str
    err: str
    program: str = "exercises"

    @property
    def command(self) -> str:
        """The line that does the same in a terminal."""
        return shlex.join([self.program, *self.words])


class Programs:
    """Runs commands for one workspace: quick ones at once, and in the background at most one of each kind."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._env = {**os.environ, **settings, "COLUMNS": "100", "NO_COLOR": "1"}
        self._lock = threading.Lock()
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._waiters: list[threading.Thread] = []

    def is_running(self, kind: str) -> bool:
        """Whether a command of this kind that was started here still runs."""
        return kind in self._running

    def run(self, *words: str, program: str = "exercises") -> Done:
        """Run a command that ends soon, of this program or of another one here."""
        process = self._start(words, subprocess.PIPE, program)
        out, err = process.communicate()
        return Done(words, process.returncode, out[-MAX_TEXT:], err[-MAX_TEXT:], program)

    def start(self, kind: str, words: tuple[str, ...], then: Callable[[Done], None]) -> bool:
        """Start a command, and call `then` from a thread at its end; False when one of this kind runs already.

        What it writes to standard output is dropped: results are in files.
        """
        with self._lock:
            if kind in self._running:
                return False
            process = self._running[kind] = self._start(words, subprocess.DEVNULL)
            waiter = threading.Thread(
                target=self._wait, args=(kind, process, words, then), name=kind, daemon=True
            )
            self._waiters = [*(each for each in self._waiters if each.is_alive()), waiter]
            waiter.start()
        return True

    def stop(self, kind: str) -> None:
        """Do what Ctrl-C does, to the command of this kind that was started here."""
        with self._lock:
            if kind in self._running:
                self._running[kind].send_signal(signal.SIGINT)

    def close(self) -> None:
        """End what was started here."""
        for kind in list(self._running):
            self.stop(kind)
        deadline = time.monotonic() + STOP_SECONDS
        for waiter in self._waiters:
            waiter.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            for process in self._running.values():
                process.kill()

    def _start(self, words: tuple[str, ...], out: int, program: str = "exercises") -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 -- the words are checked: ids, names of services, and our own
            [sys.executable, "-m", program, *words],
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )

    def _wait(
        self, kind: str, process: subprocess.Popen[str], words: tuple[str, ...], then: Callable[[Done], None]
    ) -> None:
        _, err = process.communicate()
        with self._lock:
            del self._running[kind]
        then(Done(words, process.returncode, "", err[-MAX_TEXT:]))
