"""Numbers of one phase of one trial. Pure functions of the raw trial.

Two kinds of phases, two meanings of "achieved": where the shop is to keep up, it is what was asked in that phase and
answered well; in an overload, it is what was answered well during the phase, whenever it was asked.

What is easy to get wrong: whom a percentile is of. Here it is of all who asked (docs/decisions/0010). A request that
failed, never ended or could not be started counts as a wait of the whole timeout, behind all that were answered well.
Otherwise a shop that turns people away, or answers them with a quick error, looks faster than one that serves them.
CPU per request is of requests answered well, for the same reason.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtests.analysis.raw import RawTrial, Request, service_of
from loadtests.analysis.records import GATEWAY, GENERATOR
from loadtests.analysis.stats import Number
from loadtests.analysis.summaries import percentile
from loadtests.analysis.validity import reasons_to_void
from loadtests.experiments.metrics import ALL, keys_from

OF_TRIAL = keys_from("shop", "code")
"""What a trial's facts may say of its shop; older runs do not say all of it."""
OPTIONAL = ("products", "rate", "core_speed")
SHARES = {"p50_ms": 0.50, "p95_ms": 0.95, "p99_ms": 0.99}


@dataclass(frozen=True)
class PhaseResult:
    """One phase of one trial: the row that results.json has for it, and what claims can be made of."""

    experiment: str
    system: str
    replicas: dict[str, int]
    id: str | None
    """The system's id in its experiment; None in runs from before there were ids."""
    products: int | None
    rate: float | None
    """What a search asked for, in visits per second; None outside of searches."""
    phase: str
    seconds: float
    repeat: int
    order: int
    metrics: dict[str, dict[str, float | int | None]]
    processes: list[dict[str, Any]]
    cpu_us_per_request: float | None
    uss_bytes: int
    of_shop: dict[str, float | int | None]
    """What the shop is and uses as a whole, asked or not: cores, instances, databases, seconds to start."""
    doubts: list[str]
    core_speed: float | None = None
    """As `rig.core_speed` measured it before the trial; None in runs from before there was one."""
    sitting: tuple[str, int] | None = None
    """The same for all that took turns; None where the trial was alone."""

    def value(self, metric: str, endpoint: str) -> float | None:
        """The number of that name; None when there is none, or none that a ratio could use."""
        found = self.number(metric, endpoint)
        return found.value if found else None

    def number(self, metric: str, endpoint: str) -> Number | None:
        """The same, with whether it is only a bound.

        A shop that answered nothing has numbers too, or it would drop out of the ratio that it lost: fewer than one
        answer in the phase, and more CPU for one than all that it used.
        """
        if metric == "cpu_us_per_request":
            if self.cpu_us_per_request is None and self.metrics:
                return _some(float(self.of_shop["cpu_cores"] or 0) * self.seconds * 1e6, more=True)
            return _some(self.cpu_us_per_request)
        if metric == "uss_bytes":
            return _some(self.uss_bytes)
        if metric in self.of_shop:
            return _some(self.of_shop[metric])
        return self._of_route(metric, self.metrics.get(endpoint))

    def _of_route(self, metric: str, measured: Mapping[str, float | int | None] | None) -> Number | None:
        if measured is None:
            return None
        if metric == "answered_share":
            done, asked = answered(measured)
            # Half a request more on either side (Haldane 1956), so that a ratio of shares exists where one is 0.
            return Number((done + 0.5) / (asked + 1))
        if metric == "throughput_rps":
            return _some(measured["achieved_rps"]) or Number(1 / self.seconds, less=True)
        return _some(measured.get(metric), more=metric in bounded(measured))

    def as_trial(self) -> dict[str, Any]:
        """The documented shape, schema 2."""
        return {
            "system": self.system,
            "replicas": self.replicas,
            **{key: getattr(self, key) for key in OPTIONAL if getattr(self, key) is not None},
            "repeat": self.repeat,
            "order": self.order,
            "phase": self.phase,
            "metrics": self.metrics,
            "processes": self.processes,
            "valid": not self.doubts,
            "doubts": self.doubts,
        }


def _some(value: float | None, *, more: bool = False) -> Number | None:
    return Number(float(value), more=more) if value else None


def answered(measured: Mapping[str, float | int | None]) -> tuple[int, int]:
    """How many requests were answered well, and how many were asked for."""
    # Runs that were made into results before requests that never started were counted have no such number.
    count, not_started = int(measured["count"] or 0), int(measured.get("not_started") or 0)
    return count - int(measured["errors"] or 0), count + not_started


def bounded(measured: Mapping[str, float | int | None]) -> list[str]:
    """Names of the percentiles of a route that fall among those who were not answered well: the truth is more."""
    done, asked = answered(measured)
    return [name for name, share in SHARES.items() if math.ceil(share * (asked - 1)) > done - 1]


def measure(trial: RawTrial) -> list[PhaseResult]:
    """All recorded phases of a trial."""
    return [_phase(trial, turns) for turns in trial.recorded()]


def _phase(trial: RawTrial, turns: Sequence[int]) -> PhaseResult:
    """A phase that was run in one piece, or in turns with other shops: the indexes of its pieces."""
    phase, windows = trial.whole(turns), [trial.window(index) for index in turns]
    asked = [request for request in trial.requests if request.phase in turns]
    inside = [
        (request, _share(request, begin, end))
        for begin, end in windows
        for request in trial.requests
        if request.status
    ]
    answered = sum(share * request.ok for request, share in inside)
    cores = {name: usage.cores(windows) for name, usage in trial.usage.items()}
    memory = {name: usage.memory(windows) for name, usage in trial.usage.items()}
    shop = [name for name in (*trial.replicas, GATEWAY) if name in trial.usage]
    used = sum(cores[name] for name in shop) * phase.seconds
    return PhaseResult(
        experiment=phase.experiment,
        system=trial.facts["system"],
        replicas=trial.facts["replicas"],
        id=trial.facts.get("id"),
        products=trial.facts.get("products"),
        rate=trial.facts.get("rate"),
        phase=phase.name,
        seconds=phase.seconds,
        repeat=trial.facts["repeat"],
        order=trial.facts["order"],
        metrics=_metrics(
            asked,
            inside,
            phase.seconds,
            patience_ms=trial.facts["timeout_seconds"] * 1000,
            overload=phase.overload,
        ),
        processes=[
            {
                "name": name,
                "slice": phase.cores_of(service_of(name)) if name in trial.replicas else None,
                "cpu_cores": round(cores[name], 4),
                "uss_bytes": memory[name],
            }
            for name in (*shop, GENERATOR)
        ],
        cpu_us_per_request=used / answered * 1e6 if answered and shop else None,
        uss_bytes=sum(memory[name] for name in shop),
        of_shop={
            "cpu_cores": used / phase.seconds,
            "instances": len(shop),
            **{name: trial.facts.get(name) for name in OF_TRIAL},
            **_of_action(trial, turns[0]),
        },
        doubts=list(reasons_to_void(trial, turns, asked, cores)),
        core_speed=trial.facts.get("core_speed"),
        sitting=(trial.facts["group"], trial.facts["attempt"]) if trial.facts.get("group") else None,
    )


def _of_action(trial: RawTrial, index: int) -> dict[str, float | int | None]:
    """What came of what was done to the shop in this phase: which replicas are new, after how long, how large."""
    for done in trial.facts.get("done", ()):
        if done["phase"] == index and not done["failed"]:
            _, end = trial.window(index)
            grown = [
                trial.usage[name].memory([(end - 1, end)]) for name in done["fresh"] if name in trial.usage
            ]
            return {
                "action_seconds": done["seconds"],
                "restarted": len(done["fresh"]),
                "added_bytes": sum(grown),
            }
    return {}


def _share(request: Request, begin: float, end: float) -> float:
    """How much of a request was worked on between two moments.

    Counting whole answers would be off by up to all that are under way at both ends: at four at a time and twenty
    answers a second that is a tenth of a short phase.
    """
    if request.start is None or request.end <= begin or request.start >= end:
        return 0.0
    if begin < request.start and request.end <= end:  # also one that was quicker than the log's microsecond
        return 1.0
    return (min(request.end, end) - max(request.start, begin)) / (request.end - request.start)


def _metrics(
    asked: Iterable[Request],
    inside: Iterable[tuple[Request, float]],
    seconds: float,
    *,
    patience_ms: float,
    overload: bool,
) -> dict[str, dict[str, float | int | None]]:
    """Per route, and for `all` of them."""
    of_phase: dict[str, list[Request]] = defaultdict(list)
    in_time: dict[str, float] = defaultdict(float)
    for request in asked:
        of_phase[request.route].append(request)
        of_phase[ALL].append(request)
    for request, share in inside:
        in_time[request.route] += share * request.ok
        in_time[ALL] += share * request.ok
    metrics: dict[str, dict[str, float | int | None]] = {}
    for route, requests in sorted(of_phase.items()):
        started = sum(request.start is not None for request in requests)
        done = sum(request.ok for request in requests)
        waits = _waits(requests, patience_ms)
        good = in_time[route] if overload else done
        metrics[route] = {
            "asked_rps": round(len(requests) / seconds, 4),
            "achieved_rps": round(good / seconds, 4),
            "errors": started - done,
            **{name: round(percentile(waits, share), 3) for name, share in SHARES.items()},
            "count": started,
            "not_started": len(requests) - started,
        }
    return metrics


def _waits(requests: Sequence[Request], patience_ms: float) -> list[float]:
    """How long everybody waited who asked, in order: for a good answer as long as it took, otherwise the whole timeout.

    No wait for a good answer ranks behind one that was in vain, also where a slow answer took longer than the timeout.
    """
    good = [request.latency_ms for request in requests if request.ok]
    longest = max([patience_ms, *good])
    vain = (request for request in requests if not request.ok)
    # Sorted once, because each percentile sorts, which is quick for what is in order.
    return sorted(
        good
        + [max(longest, request.latency_ms) if request.start is not None else longest for request in vain]
    )
