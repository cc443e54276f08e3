"""A trial, read from its files: a row per request, a row per process and second, and the facts of the trial."""

import csv
import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from sys import intern
from typing import Any

import numpy as np

from loadtests.analysis.records import COLUMNS, NOT_REPLICAS
from loadtests.planning.phases import PlannedAction, PlannedPhase

Window = tuple[float, float]
"""Begin and end, in seconds after the start of the trial."""


def service_of(replica: str) -> str:
    """The service of a replica: `catalog` for `catalog-1`."""
    return replica.rpartition("-")[0]


@dataclass(frozen=True, slots=True)
class Request:
    """One request, or a visit that was not started (`start` is None). Times: seconds after the trial's start."""

    intended: float
    start: float | None
    end: float
    phase: int
    persona: str
    route: str
    status: int
    ok: bool

    @property
    def latency_ms(self) -> float:
        """Milliseconds from the intended start, so that a stall also counts for requests that it delayed."""
        return (self.end - self.intended) * 1000


@dataclass(frozen=True)
class Usage:
    """The samples of one process group: times in seconds, CPU seconds so far, and bytes of memory (USS)."""

    at: list[float]
    cpu: list[float]
    uss: list[int]

    def cores(self, windows: Sequence[Window]) -> float:
        """CPU seconds per second in these windows, interpolated linearly between samples."""
        used = np.interp([end for _, end in windows], self.at, self.cpu) - np.interp(
            [begin for begin, _ in windows], self.at, self.cpu
        )
        return float(used.sum()) / sum(end - begin for begin, end in windows)

    def memory(self, windows: Sequence[Window]) -> int:
        """The mean of the bytes in these windows; 0 without a sample in them."""
        inside = [
            uss
            for at, uss in zip(self.at, self.uss, strict=True)
            if any(begin - 0.1 <= at <= end + 0.1 for begin, end in windows)
        ]
        return round(sum(inside) / len(inside)) if inside else 0


@dataclass(frozen=True)
class RawTrial:
    """All that the files of one trial hold. `usage` is by process name."""

    facts: dict[str, Any]
    phases: list[PlannedPhase]
    requests: list[Request]
    usage: dict[str, Usage]

    def window(self, index: int) -> Window:
        """Begin and end of the phase of that index."""
        ends = list(accumulate((phase.seconds for phase in self.phases), initial=0.0))
        return ends[index], ends[index + 1]

    def merged(self, turns: Sequence[int]) -> PlannedPhase:
        """The phase that consists of the turns of these indexes, with the sum of their seconds."""
        return replace(self.phases[turns[0]], seconds=sum(self.phases[index].seconds for index in turns))

    def recorded_phases(self) -> list[list[int]]:
        """The indexes of the phases that count (not the warm-up). Turns of one phase share a list."""
        found: dict[tuple[str, str], list[int]] = {}
        for index, phase in enumerate(self.phases):
            if phase.record:
                found.setdefault((phase.experiment, phase.name), []).append(index)
        return list(found.values())

    @property
    def replicas(self) -> list[str]:
        """The names of the shop's replicas, without the gateway."""
        return [name for name in self.usage if name not in NOT_REPLICAS]


def read_trial(folder: Path) -> RawTrial:
    """Read the folder of a finished trial."""
    facts = json.loads((folder / "trial.json").read_text(encoding="utf-8"))
    phases = [_phase(phase) for phase in facts["phases"]]
    return RawTrial(
        facts, phases, read_requests(folder / "requests.csv.gz"), _usage(folder / "processes.csv.gz")
    )


def read_trials(run: Path) -> Iterator[RawTrial]:
    """All finished trials of a run, in order. They are read one at a time, because each may have very many requests.

    An interrupted trial has no trial.json and is left out.
    """
    return (read_trial(file.parent) for file in sorted((run / "trials").glob("*/trial.json")))


def _phase(facts: dict[str, Any]) -> PlannedPhase:
    """JSON has lists where a phase has tuples. Trials of older versions have no curves or actions."""
    curve = tuple((at, multiple) for at, multiple in facts.get("curve", ()))
    action = PlannedAction(**facts["action"]) if facts.get("action") else None
    own = {"saturates": tuple(facts["saturates"]), "curve": curve, "action": action}
    return PlannedPhase(**{**facts, **own})


def read_requests(file: Path) -> list[Request]:
    """Read the generator's log."""
    with gzip.open(file, "rt", newline="", encoding="utf-8") as text:
        rows = csv.reader(text)
        head = next(rows)
        pick = itemgetter(*map(head.index, COLUMNS[:-1]))
        # Interned, because a million rows share a dozen routes.
        return [
            Request(
                float(intended),
                float(start) if start else None,
                float(end or "nan"),
                int(phase),
                intern(persona),
                intern(route),
                int(status),
                ok == "1",
            )
            for intended, start, end, phase, persona, route, status, ok in map(pick, rows)
        ]


def _usage(file: Path) -> dict[str, Usage]:
    usage: dict[str, Usage] = {}
    with gzip.open(file, "rt", newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            samples = usage.setdefault(row["name"], Usage([], [], []))
            samples.at.append(float(row["at"]))
            samples.cpu.append(float(row["cpu_seconds"]))
            samples.uss.append(int(row["uss_bytes"]))
    return usage
