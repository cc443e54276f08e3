"""The progress of a running trial: the generator appends a line per second to a file, and a display reads the newest.

This must not slow the generator down, so it writes only numbers that it has in any case. They are not results; those
are computed afterwards from the whole log.
"""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from loadtests.analysis.summaries import percentile

MOMENTS = "live.jsonl"
WINDOW_SECONDS = 5.0
MAX_ROWS = 2000  # more rows would delay the requests that are due meanwhile
END_BYTES = 1000

Row = Sequence[Any]
"""A row of the generator's log, in the order of records.COLUMNS. A visit that was not started has no start."""
Suffered = tuple[float | None, int]


@dataclass(frozen=True)
class Moment:
    """The five seconds before `at` (seconds after the start): successes per second, their p95, failures."""

    at: float
    phase: str
    rate: float
    p95_ms: float | None
    failed: int
    not_started: int
    under_way: int
    p50_ms: float | None = field(default=None, compare=False)
    p99_ms: float | None = field(default=None, compare=False)
    """For charts; the line on the terminal has only the p95."""
    personas: dict[str, Suffered] = field(default_factory=dict, compare=False)
    """By persona: the p95 in milliseconds, and how many requests failed or were not started."""

    def __str__(self) -> str:
        p95 = "no answer" if self.p95_ms is None else f"p95 {self.p95_ms:.0f} ms"
        wrong = f", {self.failed} failed, {self.not_started} not started"
        return f"{self.phase} {self.at:.0f} s: {self.rate:.0f} answers/s, {p95}{wrong}, {self.under_way} under way"


def moment(rows: Sequence[Row], at: float, phase: str, under_way: int, began: float = 0.0) -> Moment:
    """A summary of the newest rows of the log. `began` is the time at which the present load began."""
    since = max(began, at - WINDOW_SECONDS)
    newest = rows[-MAX_ROWS:]
    started = [row for row in newest if row[1] != "" and row[2] >= since]
    waits = [(row[2] - row[0]) * 1000 for row in started if row[7]]
    # The time seen is shorter at the start, and when MAX_ROWS rows cover less than the window.
    seconds = at - max(since, started[0][2] if len(newest) == MAX_ROWS and started else 0.0)
    return Moment(
        at=round(at, 1),
        phase=phase,
        rate=round(len(waits) / seconds, 1) if seconds > 0 else 0.0,
        p95_ms=round(percentile(waits, 0.95), 1) if waits else None,
        failed=len(started) - len(waits),
        not_started=sum(row[1] == "" and row[0] >= since for row in newest),
        under_way=under_way,
        p50_ms=round(percentile(waits, 0.5), 1) if waits else None,
        p99_ms=round(percentile(waits, 0.99), 1) if waits else None,
        personas={
            persona: _suffered([row for row in newest if row[4] == persona], since)
            for persona in sorted({row[4] for row in newest})
        },
    )


def _suffered(rows: Sequence[Row], since: float) -> Suffered:
    started = [row for row in rows if row[1] != "" and row[2] >= since]
    waits = [(row[2] - row[0]) * 1000 for row in started if row[7]]
    not_started = sum(row[1] == "" and row[0] >= since for row in rows)
    return round(percentile(waits, 0.95), 1) if waits else None, len(started) - len(waits) + not_started


def together(parts: Sequence[Moment]) -> Moment:
    """The moment of a load that several processes make: sums, and the longest of their percentiles."""
    percentiles = {
        name: max((each for part in parts if (each := getattr(part, name)) is not None), default=None)
        for name in ("p50_ms", "p95_ms", "p99_ms")
    }
    return Moment(
        at=parts[-1].at,
        phase=parts[-1].phase,
        rate=round(sum(part.rate for part in parts), 1),
        failed=sum(part.failed for part in parts),
        not_started=sum(part.not_started for part in parts),
        under_way=sum(part.under_way for part in parts),
        **percentiles,
        personas=_suffered_together([part.personas for part in parts]),
    )


def _suffered_together(parts: Sequence[dict[str, Suffered]]) -> dict[str, Suffered]:
    found: dict[str, Suffered] = {}
    for persona, (p95, wrong) in (each for part in parts for each in part.items()):
        before, so_far = found.get(persona, (None, 0))
        found[persona] = (max((t for t in (before, p95) if t is not None), default=None), so_far + wrong)
    return found


def append(folder: Path, now: Moment) -> None:
    """Append a line. A full disk must not end the trial here; the trial reports it when it saves its log."""
    with contextlib.suppress(OSError), (folder / MOMENTS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(now)) + "\n")


def last(folder: Path) -> Moment | None:
    """The newest complete line of a trial; None before the first."""
    try:
        with (folder / MOMENTS).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - END_BYTES))
            lines = file.read().decode("utf-8", "replace").rpartition("\n")[0].splitlines()
        return Moment(**json.loads(lines[-1]))
    except (OSError, ValueError, TypeError, IndexError):
        return None
