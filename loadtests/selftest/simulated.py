"""Simulated trials: what the files of a trial would contain, with a known truth.

`loadtests selftest` asks whether the lab's verdicts find this truth; no shop is needed. Requests differ from each
other, and so do whole trials, as with real processes.
"""

import math
import random
from dataclasses import replace
from typing import Any

from loadtests.analysis.raw import RawTrial, Request, Usage
from loadtests.analysis.records import GATEWAY, GENERATOR, MACHINE_BUSY, MACHINE_STOLEN
from loadtests.experiments.experiment import Experiment, parse
from loadtests.planning.phases import PlannedPhase

SECONDS = 10.0
RATE = 8.0
SLICE = 0.5
MEDIAN_MS = 20.0
REQUEST_NOISE = 0.4
"""Standard deviation of the logarithm of one request's latency."""
TRIAL_NOISE = 0.04
"""The same for a factor that all requests of a trial share."""
REPLICAS = {"monolith": "monolith-1", "microservices": "recommendations-1"}

TEXT = """
name = "selftest"
question = "Does the lab find a known difference?"
expect = "Yes."
because = "The difference was simulated."
seed = 1
repeats = 5
slice_cores = 0.5

[limits]
users = { searcher = 2 }

[[systems]]
id = "a"
label = "a shop"
system = "monolith"

[[systems]]
id = "b"
label = "another shop"
system = "microservices"

[[phases]]
name = "quiet"
seconds = 10
rates = { searcher = 8 }

[[claims]]
side = "price"
claim = "Latency"
statement = "A request takes {ratio} times as long."
metric = "p50_ms"
of = ["b/quiet"]
over = ["a/quiet"]

[[claims]]
side = "price"
claim = "Promise"
statement = "A request takes {ratio} times as long, and at least 1.25 times was promised."
metric = "p50_ms"
of = ["b/quiet"]
over = ["a/quiet"]
at_least = 1.25

[[claims]]
side = "price"
claim = "Tail"
statement = "The p95 of a request is {ratio} times as long."
metric = "p95_ms"
of = ["b/quiet"]
over = ["a/quiet"]

[[claims]]
side = "claim"
claim = "Buyers"
statement = "{ratio} of the buyers had their order in time."
metric = "in_time_share"
endpoint = "VISIT buy"
of = ["b/quiet"]
at_least = 0.5

[[charts]]
kind = "bars"
title = "Tail"
metric = "p95_ms"
phases = ["quiet"]

[demo]
repeats = 1
seconds = {}
"""


def experiment() -> Experiment:
    """The experiment of the simulated trials: the median latency of one shop over the other's."""
    return parse(TEXT, "selftest.toml")


def trial(system: str, repeat: int, rng: random.Random, slower: float = 1.0) -> RawTrial:
    """One valid trial; `slower` multiplies all its latencies."""
    factor = slower * math.exp(rng.gauss(0, TRIAL_NOISE))
    at, requests = rng.expovariate(RATE), []
    while at < SECONDS:
        took = MEDIAN_MS / 1000 * factor * math.exp(rng.gauss(0, REQUEST_NOISE))
        requests.append(Request(at, at, at + took, 0, "searcher", "GET /search", 200, ok=True))
        at += rng.expovariate(RATE)
    phase = PlannedPhase(
        "selftest", "quiet", SECONDS, {"searcher": RATE}, "poisson", {}, SLICE, True, False, ()
    )
    facts = {
        "system": system,
        "replicas": {},
        "repeat": repeat,
        "order": repeat,
        "died": [],
        "cores": 2,
        "slice_backend": "cgroup2",
        "timeout_seconds": 10.0,
    }
    usage = {
        REPLICAS[system]: steady(0.2),
        GATEWAY: steady(0.02),
        GENERATOR: steady(0.1),
        MACHINE_BUSY: steady(0.4),
        MACHINE_STOLEN: steady(0.0),
    }
    return RawTrial(facts, [phase], requests, usage)


def repeats(rng: random.Random, slower: float = 1.0, count: int = 5) -> list[RawTrial]:
    """`count` trials of each shop; the microservices' latencies are `slower` times those of the monolith."""
    return [
        trial(system, repeat, rng, factor)
        for repeat in range(1, count + 1)
        for system, factor in (("monolith", 1.0), ("microservices", slower))
    ]


def steady(cores: float) -> Usage:
    """A process that uses so many cores all the time."""
    return Usage([0.0, SECONDS], [0.0, cores * SECONDS], [50_000_000] * 2)


def late(raw: RawTrial, seconds: float) -> RawTrial:
    """The same trial, but the generator started every request so many seconds late."""
    moved = [replace(each, start=each.intended + seconds, end=each.end + seconds) for each in raw.requests]
    return replace(raw, requests=moved)


def using(raw: RawTrial, name: str, cores: float) -> RawTrial:
    """The same trial, but this process used so many cores."""
    return replace(raw, usage={**raw.usage, name: steady(cores)})


def with_facts(raw: RawTrial, **facts: Any) -> RawTrial:
    """The same trial with other facts, such as `died`."""
    return replace(raw, facts={**raw.facts, **facts})


def saturating(raw: RawTrial) -> RawTrial:
    """The same trial, but its phase should use up the slice of the shop's replica."""
    name = REPLICAS[raw.facts["system"]].rpartition("-")[0]
    return replace(raw, phases=[replace(raw.phases[0], saturates=(name,))])


def unanswered(raw: RawTrial, share: float) -> RawTrial:
    """The same trial, but this share of its requests was answered with errors."""
    failing = round(len(raw.requests) * share)
    failed = [replace(each, status=503, ok=False) for each in raw.requests[:failing]]
    return replace(raw, requests=failed + raw.requests[failing:])


def cut_off(raw: RawTrial, rng: random.Random, share: float) -> RawTrial:
    """The same trial, but its end cut this share of the requests off, each at some moment of its wait."""

    def cut(request: Request) -> Request:
        end = rng.uniform(request.intended, request.end)
        return replace(request, end=end, status=0, ok=False, cut=True)

    return replace(raw, requests=[cut(each) if rng.random() < share else each for each in raw.requests])


def with_buyers(raw: RawTrial, rng: random.Random, in_time: float, count: int = 60) -> RawTrial:
    """The same trial with whole visits to buy. This share of them is served in time.

    Of the others most are never started, so that they send no request to check out. Some are late or cut off.
    """

    def visit(at: float) -> Request:
        end, ok, cut = at + 0.1, True, False
        start: float | None = at
        if rng.random() >= in_time:
            late, unfinished, never = (at, at + 0.4, True), (at, at + 1.0, False), (None, math.nan, False)
            start, end, ok = rng.choice([late, unfinished, never, never, never])
            cut = start is not None and not ok
        return Request(at, start, end, 0, "buyer", "VISIT buy", 201 if ok else 0, ok, cut)

    return replace(raw, requests=[*raw.requests, *(visit(rng.uniform(0, SECONDS)) for _ in range(count))])


def cold(raw: RawTrial, times: float) -> RawTrial:
    """The same trial, but requests of the first half took so many times as long."""
    half = SECONDS / 2
    slow = [
        replace(each, end=each.intended + (each.end - each.intended) * (times if each.intended < half else 1))
        for each in raw.requests
    ]
    return replace(raw, requests=slow)
