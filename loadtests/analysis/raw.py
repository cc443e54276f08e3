"""A trial, read from its files: a row per request, a row per process and second, and the facts of the trial."""

import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from sys import intern
from typing import Any

import numpy as np

from loadtests.analysis.records import (
    ENGINE,
    GATEWAY,
    HELD_COLUMNS,
    KEPT_COLUMNS,
    NOT_REPLICAS,
    READING_SECONDS,
    VISIT,
    WAIT,
)
from loadtests.planning.phases import PlannedAction, PlannedPhase

READ = ("intended", "start", "end", "phase", "persona", "route", "status", "ok")
"""The columns of requests.csv.gz that every version has, in the order of the fields of Request."""
Window = tuple[float, float]
"""Begin and end, in seconds after the start of the trial."""


def service_of(replica: str) -> str:
    """The service of a replica: `catalog` for `catalog-1`."""
    return replica.rpartition("-")[0]


@dataclass(frozen=True, slots=True)
class Request:
    """One request, or a visit that was not started (`start` is None). Times: seconds after the trial's start.

    Rows of whole visits (`VISIT …`) and of waits (`WAIT …`) look the same, but the shop got no request for them. `cut`
    means that the experiment ended before the answer came: the latency is a lower bound, and not a failure.
    """

    intended: float
    start: float | None
    end: float
    phase: int
    persona: str
    route: str
    status: int
    ok: bool
    cut: bool = False

    @property
    def is_request(self) -> bool:
        """Whether the shop got this as a request, or would have got it."""
        return not self.route.startswith((VISIT, WAIT))

    @property
    def latency_ms(self) -> float:
        """Milliseconds from the intended start, so that a stall also counts for requests that it delayed."""
        return (self.end - self.intended) * 1000


@dataclass(frozen=True)
class Usage:
    """The samples of one process group: times in seconds, CPU seconds so far, and bytes of memory (USS).

    `held` has the counts of the slice so far, by the names of their columns: periods in which it stopped the group,
    seconds for which it did, and seconds in which some process waited for CPU. A count is missing where it is not
    known in every sample.
    """

    at: list[float]
    cpu: list[float]
    uss: list[int]
    held: Mapping[str, Sequence[float]] = field(default_factory=dict)
    kept: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """What the group held at each sample, by the names of the columns: `handles` and `threads`."""
    read: bool = False
    """Whether others took the samples, at times of their own: a kubelet's readings of a pod."""

    def cores(self, windows: Sequence[Window]) -> float:
        """CPU seconds per second in these windows, interpolated linearly between samples."""
        return self._per_second(self.cpu, windows)

    def cpu_bounds(self, windows: Sequence[Window]) -> tuple[float, float] | None:
        """The least and the most CPU seconds in these windows, if they are not known exactly.

        CPU time only grows, so at any time it lies between the last reading before and the first one after. None where
        there is no reading after a window: the pod ended in it, or nobody read it.
        """
        if not self.read:
            exact = self.cores(windows) * sum(end - begin for begin, end in windows)
            return exact, exact
        least = most = 0.0
        for begin, end in windows:
            if self._gone and begin >= self.at[-1]:
                continue
            (begin_low, begin_high), (end_low, end_high) = self._cpu_at(begin), self._cpu_at(end)
            if begin_high is None or end_high is None:
                return None
            least += max(0.0, end_low - begin_high)
            most += end_high - begin_low
        return least, most

    @property
    def _gone(self) -> bool:
        """Whether the last sample only says that the pod is no longer there; it has no memory then."""
        return self.read and len(self.uss) > 1 and not self.uss[-1]

    def _cpu_at(self, time: float) -> tuple[float, float | None]:
        """Two CPU times between which that of this time lies; the second is None without a later reading."""
        slack = READING_SECONDS / 2
        readings = list(zip(self.at, self.cpu, strict=True))[: -1 if self._gone else None]
        before = [cpu for at, cpu in readings if at + slack <= time]
        after = [cpu for at, cpu in readings if at - slack >= time]
        return before[-1] if before else 0.0, after[0] if after else None

    def held_per_second(self, windows: Sequence[Window]) -> dict[str, float]:
        """The counts of `held` per second in these windows."""
        return {name: self._per_second(counts, windows) for name, counts in self.held.items()}

    def kept_in(self, name: str, windows: Sequence[Window]) -> float | None:
        """The mean of `handles` or `threads` in these windows; None where nobody counted them."""
        inside = [
            value
            for at, value in zip(self.at, self.kept.get(name, ()), strict=False)
            if value and any(begin - 0.1 <= at <= end + 0.1 for begin, end in windows)
        ]
        return sum(inside) / len(inside) if inside else None

    def _per_second(self, counts: Sequence[float], windows: Sequence[Window]) -> float:
        grown = np.interp([end for _, end in windows], self.at, counts) - np.interp(
            [begin for begin, _ in windows], self.at, counts
        )
        return float(grown.sum()) / sum(end - begin for begin, end in windows)

    def memory(self, windows: Sequence[Window]) -> int:
        """The mean of the bytes in these windows while it was there; 0 without a sample in them.

        Readings are rare, so the last one before a window and the first one after it count too.
        """
        inside = [
            uss
            for at, uss in zip(self.at, self.uss, strict=True)
            if uss and any(begin - 0.1 <= at <= end + 0.1 for begin, end in map(self._around, windows))
        ]
        return round(sum(inside) / len(inside)) if inside else 0

    def _around(self, window: Window) -> Window:
        """The window; of readings, up to those around it. Without one on either side the pod was not there."""
        begin, end = window
        if not self.read or self.at[-1] < begin or self.at[0] > end:
            return window
        return max((at for at in self.at if at <= begin), default=begin), min(
            (at for at in self.at if at >= end), default=end
        )


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

    @cached_property
    def served_by_one_replica(self) -> float | None:
        """What one replica serves at most: answers per second of the hot endpoint in the phase that measures it.

        Only of a trial whose replicas follow demand. Counted once, because it passes over all requests.
        """
        wanted = self.facts["following"]["demand"]
        for index, phase in enumerate(self.phases):
            if phase.name == wanted["capacity"]:
                begin, end = self.window(index)
                answers = sum(
                    each.ok and each.route == wanted["endpoint"] and begin <= each.end < end
                    for each in self.requests
                )
                replicas = self.facts["replicas"].get(self.facts["following"]["service"], 1)
                return answers / (end - begin) / replicas or None
        return None


def cpu_known(trial: RawTrial, windows: Sequence[Window]) -> tuple[float, float] | None:
    """How well the CPU of the whole shop is known in these windows: the least and the most it may be, as factors.

    Both are 1 for processes of this machine. None where the readings of some pod do not reach.
    """
    shop = [trial.usage[name] for name in (*trial.replicas, GATEWAY) if name in trial.usage]
    bounds = [usage.cpu_bounds(windows) for usage in shop]
    known = [each for each in bounds if each is not None]
    seconds = sum(end - begin for begin, end in windows)
    value = sum(usage.cores(windows) for usage in shop) * seconds
    if len(known) < len(bounds):
        return None
    if not value:
        return 1.0, 1.0
    return min(1.0, sum(low for low, _ in known) / value), max(1.0, sum(high for _, high in known) / value)


def read_trial(folder: Path) -> RawTrial:
    """Read the folder of a finished trial."""
    facts = json.loads((folder / "trial.json").read_text(encoding="utf-8"))
    phases = [_phase(phase) for phase in facts["phases"]]
    usage = _usage(folder / "processes.csv.gz")
    if facts.get("engine") == ENGINE:
        usage = {name: replace(each, read=_is_pod(name)) for name, each in usage.items()}
    return RawTrial(facts, phases, read_requests(folder / "requests.csv.gz"), usage)


def _is_pod(name: str) -> bool:
    """Whether a process of a trial in a cluster is not one of this machine."""
    return name == GATEWAY or name not in NOT_REPLICAS


def read_trials(run: Path) -> Iterator[RawTrial]:
    """All finished trials of a run, in order. They are read one at a time, because each may have very many requests.

    An interrupted trial has no trial.json and is left out.
    """
    return (read_trial(file.parent) for file in sorted((run / "trials").glob("*/trial.json")))


def _phase(facts: dict[str, Any]) -> PlannedPhase:
    """JSON has lists where a phase has tuples. Trials of older versions have no curves or actions."""
    curve = tuple((at, multiple) for at, multiple in facts.get("curve", ()))
    action = PlannedAction(**facts["action"]) if facts.get("action") else None
    own = {
        "saturates": tuple(facts["saturates"]),
        "curve": curve,
        "curve_of": tuple(facts.get("curve_of", ())),
        "action": action,
    }
    return PlannedPhase(**{**facts, **own})


def read_requests(file: Path) -> list[Request]:
    """Read the generator's log."""
    with gzip.open(file, "rt", newline="", encoding="utf-8") as text:
        rows = csv.reader(text)
        head = next(rows)
        pick = itemgetter(*map(head.index, READ))
        cut_at = head.index("cut") if "cut" in head else None
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
                # Logs of older versions mark what was cut off only by a start that is exactly the intended one.
                status == "0" and start == intended if cut_at is None else row[cut_at] == "1",
            )
            for row in rows
            for intended, start, end, phase, persona, route, status, ok in (pick(row),)
        ]


def _usage(file: Path) -> dict[str, Usage]:
    samples: dict[str, list[dict[str, str]]] = defaultdict(list)
    with gzip.open(file, "rt", newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            samples[row["name"]].append(row)
    times = sorted({row["at"] for rows_of in samples.values() for row in rows_of}, key=float)
    return {name: _usage_of([*_before(rows_of[0], times), *rows_of]) for name, rows_of in samples.items()}


def _before(first: Mapping[str, str], times: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """A sample of nothing before the first one of a process that was started later: its start counts as CPU too."""
    place = times.index(first["at"])
    if place:
        yield {
            "at": times[place - 1],
            "cpu_seconds": "0",
            "uss_bytes": "0",
            **dict.fromkeys((*HELD_COLUMNS, *KEPT_COLUMNS), "0"),
        }


def _usage_of(rows: Sequence[Mapping[str, str]]) -> Usage:
    """The samples of one group. Trials of older versions have no counts of the slice."""
    return Usage(
        [float(row["at"]) for row in rows],
        [float(row["cpu_seconds"]) for row in rows],
        [int(row["uss_bytes"]) for row in rows],
        {
            count: [float(row[count]) for row in rows]
            for count in HELD_COLUMNS
            if all(row.get(count) for row in rows)
        },
        {
            name: [int(row[name]) for row in rows]
            for name in KEPT_COLUMNS
            if all(row.get(name) for row in rows)
        },
    )
