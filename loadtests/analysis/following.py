"""What it took to follow demand in one phase of a trial, and how well it was followed. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from loadtests.analysis.elasticity import Steps, demand_of, elasticity, value_at
from loadtests.analysis.raw import RawTrial, Window
from loadtests.analysis.records import GATEWAY

GIGABYTE = 1e9


def follows(trial: RawTrial, index: int) -> bool:
    """Whether the replicas of this trial follow demand in this phase."""
    return bool(trial.facts.get("followed")) and trial.phases[index].follow


def bill(trial: RawTrial, index: int) -> dict[str, float | None]:
    """Replica-seconds and memory-seconds of the whole shop, gateway included in the memory; empty without following.

    And the seconds from the rise of the demand until one more replica was ready, if one more came.
    """
    if not follows(trial, index):
        return {}
    window = trial.window(index)
    replicas = _totals(trial, trial.replicas, lambda uss: float(uss > 0))
    memory = _totals(trial, [*trial.replicas, GATEWAY], float)
    return {
        "replica_seconds": _integral(replicas, window),
        "memory_seconds": _integral(memory, window) / GIGABYTE,
        "first_replica_seconds": first_replica_seconds(trial, index),
    }


def first_replica_seconds(trial: RawTrial, index: int) -> float | None:
    """Seconds from the first rise of the demand in this phase to the next replica that is ready."""
    demand, (begin, end) = demand_in(trial, index), trial.window(index)
    if demand is None:
        return None
    supply = ready(trial)
    rise = next((at for at in _tenths(begin, end) if demand(at) > demand(begin)), None)
    if rise is None:
        return None
    before = value_at(supply, rise)
    return next((at - rise for at, count in supply if rise < at < end and count > before), None)


def elasticity_in(trial: RawTrial, index: int) -> dict[str, float] | None:
    """The elasticity metrics of a phase that follows demand; None where the demand in replicas is not known."""
    demand = demand_in(trial, index) if follows(trial, index) else None
    if demand is None:
        return None
    found = elasticity(demand, ready(trial), *trial.window(index))
    return {name: round(value, 4) for name, value in asdict(found).items()}


def demand_in(trial: RawTrial, index: int) -> Callable[[float], int] | None:
    """Replicas needed at each second of the trial: visits per second by what one replica served at most."""
    phase, wanted = trial.phases[index], trial.facts["following"]["demand"]
    served = trial.served_by_one_replica
    if not served:
        return None
    rate = phase.rates.get(wanted["persona"], 0.0)
    return demand_of(rate, phase.curve, trial.window(index)[0], served)


def ready(trial: RawTrial) -> Steps:
    """The number of ready replicas over the time of the trial."""
    return [(at, count) for at, count, _ in trial.facts["followed"]["counts"]]


def timeline(trial: RawTrial, index: int, zero: float) -> dict[str, Any]:
    """Demand and ready replicas over the time of a phase, in seconds after `zero`; empty without following."""
    demand = demand_in(trial, index) if follows(trial, index) else None
    if demand is None:
        return {}
    times = list(_tenths(*trial.window(index)))
    supply = ready(trial)
    return {
        "demand": _changes((round(at - zero, 1), demand(at)) for at in times),
        "ready": _changes((round(at - zero, 1), value_at(supply, at)) for at in times),
    }


def _tenths(begin: float, end: float) -> Iterable[float]:
    return (begin + tenth / 10 for tenth in range(int((end - begin) * 10) + 1))


def _changes(steps: Iterable[tuple[float, int]]) -> list[tuple[float, int]]:
    found: list[tuple[float, int]] = []
    for at, count in steps:
        if not found or found[-1][1] != count:
            found.append((at, count))
    return found


def _totals(trial: RawTrial, names: Iterable[str], of: Callable[[int], float]) -> list[tuple[float, float]]:
    """(seconds, sum over these processes) at each sample. A process without a sample is not there."""
    sums: dict[float, float] = defaultdict(float)
    for name in names:
        if name in trial.usage:
            usage = trial.usage[name]
            for at, uss in zip(usage.at, usage.uss, strict=True):
                sums[at] += of(uss)
    return sorted(sums.items())


def _integral(steps: list[tuple[float, float]], window: Window) -> float:
    """The area under straight lines between the samples, inside the window."""
    begin, end = window
    inside = [(at, value) for at, value in steps if begin - 0.1 <= at <= end + 0.1]
    area = sum((b - a) * (low + high) / 2 for (a, low), (b, high) in pairwise(inside))
    covered = inside[-1][0] - inside[0][0] if len(inside) > 1 else 0.0
    return area / covered * (end - begin) if covered else 0.0
