"""Starts the commands that the page's buttons stand for: the command line itself, each in a process of its own."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MAX_TEXT = 20_000
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

    @property
    def command(self) -> str:
        """The line that does the same in a terminal."""
        return shlex.join(["exercises", *self.words])


class Programs:
    """Runs commands for one workspace: quick ones at once, and one check at a time in the background."""

    def __init__(self, root: Path, course: Path) -> None:
        self._env = {
            **os.environ,
            "EXERCISES_WORKSPACE": str(root),
            "EXERCISES_COURSE": str(course),
            "COLUMNS": "100",
            "NO_COLOR": "1",
        }
        self._lock = threading.Lock()
        self._check: subprocess.Popen[str] | None = None
        self._waiter: threading.Thread | None = None

    @property
    def checking(self) -> bool:
        """Whether a check that was started here still runs."""
        return self._check is not None

    def run(self, *words: str) -> Done:
        """Run a command that ends soon."""
        process = self._start(words)
        out, err = process.communicate()
        return Done(words, process.returncode, out[-MAX_TEXT:], err[-MAX_TEXT:])

    def start_check(self, words: tuple[str, ...], then: Callable[[Done], None]) -> bool:
        """Start a check, and call `then` from a thread at its end; False when one that was started here runs."""
        with self._lock:
            if self._check is not None:
                return False
            self._check = self._start(words)
            self._waiter = threading.Thread(
                target=self._wait, args=(self._check, words, then), name="check", daemon=True
            )
            self._waiter.start()
        return True

    def stop_check(self) -> None:
        """Do what Ctrl-C does, to the check that was started here."""
        with self._lock:
            if self._check is not None:
                self._check.send_signal(signal.SIGINT)

    def close(self) -> None:
        """End the check that was started here."""
        self.stop_check()
        if self._waiter is not None:
            self._waiter.join(STOP_SECONDS)
        with self._lock:
            if self._check is not None:
                self._check.kill()

    def _start(self, words: tuple[str, ...]) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 -- the words are checked: ids of tasks, and our own
            [sys.executable, "-m", "exercises", *words],
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )

    def _wait(
        self, process: subprocess.Popen[str], words: tuple[str, ...], then: Callable[[Done], None]
    ) -> None:
        out, err = process.communicate()
        with self._lock:
            self._check = None
        then(Done(words, process.returncode, out[-MAX_TEXT:], err[-MAX_TEXT:]))
