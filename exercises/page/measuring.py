"""What each process of an open shop does now, from the counters that it keeps for operators (`/metrics`).

Two readings, about a second apart, give rates and times. The page reads only while somebody looks.
"""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

from exercises.checks.open_shop import GATEWAY, UP, Member, OpenShop

READ_SECONDS = 0.5
EVERY_SECONDS = 0.8
"""Two windows of one browser share a reading."""
READERS = 8
OWN_ROUTES = {"/metrics", "/readyz", "/healthz", "(none)"}
"""Probes of the gateway and of the page, and paths that nobody has; they say nothing about visitors."""
SERVER_ERROR = "5"


@dataclass(slots=True)
class Counters:
    """What one process has counted since it began."""

    at: float
    requests: float = 0.0
    errors: float = 0.0
    buckets: dict[float, float] = field(default_factory=lambda: defaultdict(float))
    """Upper limit in seconds to the number of answers that took at most so long."""
    calls: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Calls of other services, by name."""
    failed_calls: dict[str, float] = field(default_factory=lambda: defaultdict(float))


@dataclass(frozen=True, slots=True)
class Numbers:
    """What something does in a second."""

    rate: float = 0.0
    errors: float = 0.0
    p50_ms: float | None = None
    p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The whole shop at one moment."""

    at: float
    phases: Mapping[str, str] = field(default_factory=dict)
    """By label of a process: what it does."""
    members: Mapping[str, Numbers] = field(default_factory=dict)
    services: Mapping[str, Numbers] = field(default_factory=dict)
    calls: Mapping[tuple[str, str], Numbers] = field(default_factory=dict)
    """By caller and called service; without times."""


class Meter:
    """Reads the counters of a shop's processes, and keeps the last ones to compare with."""

    def __init__(self) -> None:
        self._before: dict[int, Counters] = {}
        self._reading = Reading(0.0)
        self._lock = threading.Lock()

    def read(self, shop: OpenShop) -> Reading:
        """The numbers now; those of a moment ago when they were just read."""
        with self._lock:
            if time.monotonic() - self._reading.at >= EVERY_SECONDS:
                self._reading = self._fresh(shop)
            return self._reading

    def _fresh(self, shop: OpenShop) -> Reading:
        with ThreadPoolExecutor(READERS) as readers:
            phases = dict(
                zip((m.label for m in shop.members), readers.map(shop.phase, shop.members), strict=True)
            )
            ready = [m for m in shop.members if phases[m.label] in UP and m.name != GATEWAY]
            found = dict(zip(ready, readers.map(_counters, ready), strict=True))
        since = {
            member: _difference(self._before[member.pid], now)
            for member, now in found.items()
            if now and member.pid in self._before
        }
        self._before = {member.pid: now for member, now in found.items() if now}
        by_service: dict[str, list[Counters]] = defaultdict(list)
        for member, difference in since.items():
            by_service[member.name].append(difference)
        return Reading(
            time.monotonic(),
            phases,
            {member.label: _numbers([difference]) for member, difference in since.items()},
            {name: _numbers(each) for name, each in by_service.items()},
            _calls(by_service),
        )


def _counters(member: Member) -> Counters | None:
    """Read `/metrics` of a replica; None when it does not answer."""
    try:
        answer = requests.get(f"http://127.0.0.1:{member.port}/metrics", timeout=READ_SECONDS)
    except requests.RequestException:
        return None
    found = Counters(time.monotonic())
    try:
        families = list(text_string_to_metric_families(answer.text))
    except ValueError:
        return None  # a shop of the learner's own may answer anything
    for sample in (sample for family in families for sample in family.samples):
        labels, value = sample.labels, sample.value
        if labels.get("route") in OWN_ROUTES:
            continue
        if sample.name == "http_requests_total":
            found.requests += value
            found.errors += value if labels.get("status", "").startswith(SERVER_ERROR) else 0
        elif sample.name == "http_request_seconds_bucket":
            found.buckets[float(labels["le"])] += value
        elif sample.name == "upstream_calls_total":
            found.calls[labels["upstream"]] += value
            found.failed_calls[labels["upstream"]] += value if labels.get("outcome") != "ok" else 0
    return found


def _difference(before: Counters, now: Counters) -> Counters:
    """What happened between two readings, for each second."""
    seconds = max(now.at - before.at, 0.001)

    def rates(old: Mapping[Any, float], new: Mapping[Any, float]) -> dict[Any, float]:
        return {key: max(0.0, value - old.get(key, 0.0)) / seconds for key, value in new.items()}

    return Counters(
        seconds,
        max(0.0, now.requests - before.requests) / seconds,
        max(0.0, now.errors - before.errors) / seconds,
        rates(before.buckets, now.buckets),
        rates(before.calls, now.calls),
        rates(before.failed_calls, now.failed_calls),
    )


def _numbers(differences: Iterable[Counters]) -> Numbers:
    """The sum of several replicas."""
    every = list(differences)
    buckets: dict[float, float] = defaultdict(float)
    for each in every:
        for limit, count in each.buckets.items():
            buckets[limit] += count
    return Numbers(
        sum(each.requests for each in every),
        sum(each.errors for each in every),
        quantile(buckets, 0.5),
        quantile(buckets, 0.95),
    )


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """Milliseconds within which this share was answered; None without answers.

    Within a bucket the answers are taken to be spread evenly, as Prometheus does (`histogram_quantile`).
    """
    limits = sorted(buckets)
    if not limits or buckets[limits[-1]] <= 0:
        return None
    wanted = share * buckets[limits[-1]]
    for below, limit in pairwise([0.0, *limits]):
        counted = buckets[limit]
        if counted >= wanted:
            if math.isinf(limit):
                return below * 1000
            before = buckets.get(below, 0.0)
            within = (wanted - before) / (counted - before) if counted > before else 1.0
            return (below + (limit - below) * within) * 1000
    return None


def _calls(by_service: Mapping[str, list[Counters]]) -> dict[tuple[str, str], Numbers]:
    found: dict[tuple[str, str], Numbers] = {}
    for caller, differences in by_service.items():
        for called in {name for each in differences for name in each.calls}:
            found[caller, called] = Numbers(
                sum(each.calls.get(called, 0.0) for each in differences),
                sum(each.failed_calls.get(called, 0.0) for each in differences),
            )
    return found
