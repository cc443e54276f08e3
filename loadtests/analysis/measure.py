"""The numbers of each phase of one trial: requests, CPU and memory. Pure functions of the raw trial.

CPU per request is the CPU of all the shop's processes and the gateway, divided by the successful requests only. So a
shop cannot look cheap by failing (docs/decisions/0026).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from loadtests.analysis.following import bill, elasticity_in
from loadtests.analysis.phase_result import PhaseResult
from loadtests.analysis.raw import RawTrial, Request, Window, cpu_known, service_of
from loadtests.analysis.records import GATEWAY, GENERATOR, KEPT_COLUMNS
from loadtests.analysis.remarks import remarks
from loadtests.analysis.routes import route_numbers
from loadtests.analysis.validity import reasons_to_void
from loadtests.experiments.kinds import LASTING_FAULTS
from loadtests.experiments.metrics import keys_from
from loadtests.planning.phases import PlannedPhase

OF_TRIAL = keys_from("shop", "code")
"""Facts of a trial about its shop. Trials of older versions do not have all of them."""


def measure(trial: RawTrial) -> list[PhaseResult]:
    """The results of all recorded phases of a trial."""
    return [_measure_phase(trial, turns) for turns in trial.recorded_phases()]


def _measure_phase(trial: RawTrial, turns: Sequence[int]) -> PhaseResult:
    """The result of one phase; `turns` are the indexes of its pieces, one or several."""
    facts, phase, windows = trial.facts, trial.merged(turns), [trial.window(index) for index in turns]
    rows = [_during_fault(each, phase, windows[-1]) for each in trial.requests if each.phase in turns]
    requests = [each for each in rows if each.is_request]
    in_phase = [(each, _share(each, window)) for window in windows for each in trial.requests if each.status]
    served = sum(share * request.ok for request, share in in_phase if request.is_request)
    cores = {name: usage.cores(windows) for name, usage in trial.usage.items()}
    known = cpu_known(trial, windows)
    memory = {name: usage.memory(windows) for name, usage in trial.usage.items()}
    shop = [name for name in (*trial.replicas, GATEWAY) if name in trial.usage]
    cpu_seconds = sum(cores[name] for name in shop) * phase.seconds
    timeout_ms = facts["timeout_seconds"] * 1000
    return PhaseResult(
        experiment=phase.experiment,
        system=facts["system"],
        replicas=facts["replicas"],
        id=facts.get("id"),
        products=facts.get("products"),
        rate=facts.get("rate"),
        phase=phase.name,
        seconds=phase.seconds,
        repeat=facts["repeat"],
        order=facts["order"],
        metrics=route_numbers(
            rows,
            in_phase,
            phase.seconds,
            timeout_ms=timeout_ms,
            promise_ms=phase.promise_ms,
            overload=phase.overload,
        ),
        processes=_processes(phase, [*shop, GENERATOR], trial, windows),
        cpu_us_per_request=cpu_seconds / served * 1e6 if served and shop and known else None,
        cpu_known=known or (1.0, 1.0),
        uss_bytes=sum(memory[name] for name in shop),
        of_shop={
            "cpu_cores": cpu_seconds / phase.seconds if known else None,
            "instances": len(shop),
            **{name: _kept(trial, name, shop, windows) for name in KEPT_COLUMNS},
            **{name: facts.get(name) for name in OF_TRIAL},
            **_of_action(trial, turns[0]),
            **bill(trial, turns[0]),
        },
        doubts=list(reasons_to_void(trial, turns, requests, cores)),
        remarks=list(remarks(trial, turns, requests, cores)),
        route=facts.get("route"),
        elasticity=elasticity_in(trial, turns[0]),
        core_speed=facts.get("core_speed"),
        attempt=(facts["group"], facts["attempt"]) if facts.get("group") else None,
    )


def _processes(
    phase: PlannedPhase,
    names: Sequence[str],
    trial: RawTrial,
    windows: Sequence[Window],
) -> list[dict[str, Any]]:
    """For each process its slice in cores (None without one), the cores that it used, and its memory in bytes.

    Pods whose CPU is not known are left out.
    Where it is known, also what the slice did, per second: periods in which it stopped the process, seconds for which
    it did, and seconds in which the process waited for CPU.
    """
    return [
        {
            "name": name,
            "slice": phase.cores_of(service_of(name)) if name in trial.replicas and not usage.read else None,
            "cpu_cores": round(usage.cores(windows), 4),
            "uss_bytes": usage.memory(windows),
            **{count: round(held, 4) for count, held in usage.held_per_second(windows).items()},
        }
        for name, usage in ((name, trial.usage[name]) for name in names)
        if usage.cpu_bounds(windows) is not None
    ]


def _kept(trial: RawTrial, name: str, shop: Sequence[str], windows: Sequence[Window]) -> float | None:
    """The handles or threads of the whole shop; None where they were not counted."""
    found = [trial.usage[each].kept_in(name, windows) for each in shop]
    return sum(each for each in found if each is not None) or None


def _of_action(trial: RawTrial, index: int) -> dict[str, float | int | None]:
    """The result of the phase's action: its seconds, the number of new replicas, and their memory in the last second.

    Empty when the phase has no action, or when it failed.
    """
    for done in trial.facts.get("done", ()):
        if done["phase"] == index and not done["failed"]:
            _, end = trial.window(index)
            added = [
                trial.usage[name].memory([(end - 1, end)]) for name in done["fresh"] if name in trial.usage
            ]
            return {
                "action_seconds": done["seconds"],
                "restarted": len(done["fresh"]),
                "added_bytes": sum(added),
            }
    return {}


def _during_fault(request: Request, phase: PlannedPhase, window: Window) -> Request:
    """The request, as not served if it was sent after a fault that ended with the phase: then it met no fault."""
    lasting = phase.action is not None and phase.action.what in LASTING_FAULTS
    if lasting and request.is_request and request.start is not None and request.start > window[1]:
        return replace(request, ok=False)
    return request


def _share(request: Request, window: Window) -> float:
    """The share of a request's time that lies in the window, from 0 to 1.

    If whole requests were counted, the count could be wrong by the number of requests in flight at both ends. With
    four in flight and twenty responses per second, that is a tenth of a short phase.
    """
    begin, end = window
    if request.start is None or request.end <= begin or request.start >= end:
        return 0.0
    if (
        begin < request.start and request.end <= end
    ):  # also a request that took less than the log's microsecond
        return 1.0
    return (min(request.end, end) - max(request.start, begin)) / (request.end - request.start)
