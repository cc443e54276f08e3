"""Made-up trials, for tests of the numbers that are computed from them: small, exact, without a process."""

from typing import Any

from loadtests.analysis.raw import RawTrial, Request, Usage
from loadtests.analysis.records import MACHINE_BUSY, MACHINE_STOLEN
from loadtests.experiments.experiment import Experiment, parse
from loadtests.planning.phases import PlannedPhase

TEXT = """
name = "toy"
question = "Is the second shop slower?"
expect = "Yes."
because = "It was made so."
doubts = ["All of this is made up."]
seed = 1
repeats = 3
slice_cores = 0.5

[limits]
users = { searcher = 2 }

[[systems]]
id = "one"
label = "monolith"
system = "monolith"

[[systems]]
id = "two"
label = "microservices by 2"
system = "microservices"
replicas = { recommendations = 2 }

[[phases]]
name = "warm-up"
seconds = 1
record = false
rates = { searcher = 10 }

[[phases]]
name = "quiet"
seconds = 10
rates = { searcher = 10 }

[[claims]]
side = "price"
claim = "Latency"
statement = "A search takes {ratio} times as long."
metric = "p50_ms"
endpoint = "GET /search"
of = ["two/quiet"]
over = ["one/quiet"]
at_most = 1.5

[[claims]]
side = "claim"
claim = "CPU stays the same"
statement = "A request costs {ratio} times the CPU."
metric = "cpu_us_per_request"
of = ["two/quiet"]
over = ["one/quiet"]
judge = "bar"
at_most = 1.25

[[charts]]
kind = "bars"
title = "Median latency"
metric = "p50_ms"
endpoint = "GET /search"
phases = ["quiet"]

[[charts]]
kind = "scaling"
title = "Answered"
metric = "throughput_rps"
phases = ["quiet"]

[demo]
repeats = 2
seconds = { quiet = 2 }
"""

MACHINE: dict[str, Any] = {
    "cpu_model": "Example CPU",
    "cores": 4,
    "memory_bytes": 8 * 2**30,
    "os": "Linux 6.1 x86_64",
    "python": "CPython 3.11.7",
    "versions": {"locust": "2.40.0"},
    "slice_backend": "cgroup2",
}

NOTES: dict[str, Any] = {
    "id": "20260131-120000-full",
    "schema": 3,
    "form": "full",
    "command": "loadtests run toy",
    "started": "2026-01-31T12:00:00Z",
    "planned_trials": 6,
    "experiments": ["toy"],
    "gate": {"asked": 200, "differences": 0, "before": None},
    "stopped_early": False,
    "seconds": 66.0,
    "machine": MACHINE,
}


def toy() -> Experiment:
    """The experiment that the made-up trials belong to."""
    return parse(TEXT, "toy.toml")


def request(intended: float, latency_ms: float, phase: int = 1, **other: Any) -> Request:
    """A successful search, unless `other` says otherwise."""
    facts = {
        "start": intended,
        "end": intended + latency_ms / 1000,
        "persona": "searcher",
        "route": "GET /search",
        "status": 200,
        "ok": True,
        **other,
    }
    return Request(intended=intended, phase=phase, **facts)


def steady(cores: float, uss: int = 50 * 2**20) -> Usage:
    """A process with constant CPU use and memory."""
    return Usage([0.0, 1.0, 11.0], [0.0, cores, cores * 11], [uss] * 3)


def trial(
    system: str = "monolith",
    repeat: int = 1,
    *,
    latency_ms: float = 20.0,
    cores: float = 0.2,
    requests: list[Request] | None = None,
    usage: dict[str, Usage] | None = None,
    **facts: Any,
) -> RawTrial:
    """One trial of the toy experiment: a second of warm-up, then ten searches per second for ten seconds."""
    phases = [
        PlannedPhase(
            "toy", each.name, each.seconds, {"searcher": 10.0}, "poisson", {}, 0.5, each.record, False, ()
        )
        for each in toy().phases
    ]
    replicas = {"recommendations": 2} if system == "microservices" else {}
    name = "monolith-1" if system == "monolith" else "recommendations-1"
    return RawTrial(
        {
            "system": system,
            "replicas": replicas,
            "repeat": repeat,
            "order": repeat,
            "died": [],
            "cores": 4,
            "slice_backend": "cgroup2",
            "timeout_seconds": 10.0,
            **facts,
        },
        phases,
        requests or [request(1.05 + n / 10, latency_ms) for n in range(99)],
        {
            name: steady(cores),
            "gateway": steady(0.05),
            "generator": steady(0.1),
            MACHINE_BUSY: steady(0.5, 0),
            MACHINE_STOLEN: steady(0.0, 0),
            **(usage or {}),
        },
    )


def three_repeats() -> list[RawTrial]:
    """The second shop is about twice as slow and costs a little more; one of its trials is void."""
    trials = []
    for repeat, factor in enumerate((1.0, 1.1, 0.95), start=1):
        trials.append(trial("monolith", repeat, latency_ms=20 * factor))
        trials.append(trial("microservices", repeat, latency_ms=42 * factor**2, cores=0.2 + 0.02 * factor))
    trials.append(trial("microservices", 3, usage={MACHINE_STOLEN: steady(0.2, 0)}))
    return trials
