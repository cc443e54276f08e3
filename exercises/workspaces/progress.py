"""The check that runs now, or ran last, as a file with one JSON line for each event.

Whoever starts the check, a terminal or the page: both can follow it. The writer holds the workspace's lock. A reader
may find the last line cut off, or a writer that was killed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

FILE = "progress.jsonl"
CLOCK_TOLERANCE = 2.0
"""Seconds by which the system may report another time of creation for the same process."""


class Recorder:
    """Writes the events of one run of checks."""

    def __init__(self, data_dir: Path, exercise: str, only: tuple[str, ...], total: int) -> None:
        self._path = data_dir / FILE
        self._path.unlink(missing_ok=True)
        process = psutil.Process()
        self._write(
            {
                "event": "begin",
                "exercise": exercise,
                "only": only,
                "total": total,
                "pid": process.pid,
                "created": process.create_time(),
                "at": time.time(),
            }
        )

    def starting(self, says: str) -> None:
        """A check begins; `says` is its sentence."""
        self._write({"event": "check", "says": says})

    def outcome(self, document: Mapping[str, Any]) -> None:
        """A check ended, with its result as in the report."""
        self._write({"event": "outcome", **document})

    def end(self, result: str) -> None:
        """The run ended, and its results are stored."""
        self._write({"event": "end", "result": result})

    def _write(self, event: Mapping[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event) + "\n")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run of checks is."""

    exercise: str
    only: tuple[str, ...]
    total: int
    """How many checks are to run."""
    began: float
    """Seconds since the epoch."""
    pid: int
    created: float
    checks: list[dict[str, Any]] = field(default_factory=list)
    """The results so far, as in the report."""
    current: str = ""
    """The sentence of the check that runs now."""
    result: str = ""
    """The result of the whole run; empty before its end."""

    @property
    def running(self) -> bool:
        """Whether it goes on: it has not ended, and its process lives."""
        if self.result:
            return False
        try:
            return abs(psutil.Process(self.pid).create_time() - self.created) < CLOCK_TOLERANCE
        except psutil.Error:
            return False


def read(data_dir: Path) -> Progress | None:
    """The newest run's progress; None when none was recorded."""
    try:
        lines = (data_dir / FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    events = [event for line in lines if (event := _event(line))]
    if not events or events[0].get("event") != "begin":
        return None
    first, *later = events
    says = [event for event in later if event["event"] in {"check", "outcome"}]
    results = [event["result"] for event in later if event["event"] == "end"]
    return Progress(
        exercise=first["exercise"],
        only=tuple(first["only"]),
        total=first["total"],
        began=first["at"],
        pid=first["pid"],
        created=first["created"],
        checks=[event for event in later if event["event"] == "outcome"],
        current=says[-1]["says"] if says and says[-1]["event"] == "check" and not results else "",
        result=results[-1] if results else "",
    )


def _event(line: str) -> dict[str, Any] | None:
    """The event of a line; None for a line that is still being written."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None
