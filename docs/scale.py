"""The tables of docs/scale.md: what an answer costs in the published run, and what a thousand replicas would need."""  # noqa: INP001 -- docs/ is no package: this is run from a checkout, never installed

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from statistics import mean
from typing import Any

from docs.published import RESULTS, SHOWN_FIRST
from loadtests.report.estimates import DASH

HOT = "GET /api/products/{sku}/recommendations"
MEASURED_AT = 4
"""Replicas of the largest shop in the short form."""
SIZES = (1, 10, 100, 1000)
SLICE_CORES = 0.25
THREADS = {"monolith": 4, "split": 2}
"""Of a replica of the monolith, and of one of recommendations (docs/topology.md)."""
CONNECTIONS_PER_THREAD = 2
MILLI, GIGABYTE = 1e3, 1e9


def tables() -> dict[str, Callable[[], str]]:
    """The function that makes each table, by its name in the page."""
    return {"measured": measured, "thousand": on_paper}


def measured() -> str:
    """What an answer and a replica cost in each shop."""
    rows = [
        ("CPU of the replica for one recommendation, ms", *_each(lambda shop: shop.answer_ms)),
        ("CPU of the gateway for one recommendation, ms", *_each(lambda shop: shop.gateway_ms)),
        ("memory of one more replica, MB", *_each(lambda shop: shop.replica_bytes / 1e6)),
        (
            "CPU of orders for one more replica that reads its feed, ms per second",
            DASH,
            f"{_shop('split').feed_ms:.1f}",
        ),
    ]
    return _table(("what", "monolith", "split"), rows)


def on_paper() -> str:
    """The same for 1 to 1,000 replicas of the hot part."""
    monolith, split = _shop("monolith"), _shop("split")
    rows = [
        ("recommendations/s, if nothing is shared", _sizes(lambda n: n * split.per_replica)),
        ("the same, if the interval's low end is the truth", _sizes(lambda n: worst(n) * split.per_replica)),
        ("cores of the replicas, each shop", _sizes(lambda n: n * SLICE_CORES)),
        ("cores of the gateway", _sizes(lambda n: n * split.per_replica * split.gateway_ms / MILLI)),
        ("cores of orders, for the feed (split)", _sizes(lambda n: n * split.feed_ms / MILLI)),
        ("memory of the replicas, GB (split)", _sizes(lambda n: n * split.replica_bytes / GIGABYTE)),
        ("memory of the replicas, GB (monolith)", _sizes(lambda n: n * monolith.replica_bytes / GIGABYTE)),
        (
            "connections to the database (split)",
            _sizes(lambda n: n * THREADS["split"] * CONNECTIONS_PER_THREAD),
        ),
        (
            "connections to the database (monolith)",
            _sizes(lambda n: n * THREADS["monolith"] * CONNECTIONS_PER_THREAD),
        ),
    ]
    return _table(("replicas", *(f"{n:,}" for n in SIZES)), [(name, *values) for name, values in rows])


def worst(replicas: int) -> float:
    """How many times one replica so many serve, with the contention that the low end of the interval allows.

    Amdahl's law: N / (1 + a (N - 1)); a from the low end of "Scale one part alone" at four replicas.
    """
    low: float = next(
        each["low"] for each in _scale_hot()["verdicts"] if each["claim"] == "Scale one part alone"
    )
    contention = max(0.0, MEASURED_AT / low - 1) / (MEASURED_AT - 1)
    return replicas / (1 + contention * (replicas - 1))


class _Shop:
    """One shop in scale-hot: the means over its valid trials with one and with four replicas."""

    def __init__(self, one: str, four: str, hot: str) -> None:
        small, large = _trials(one), _trials(four)
        rate = mean(each["metrics"][HOT]["achieved_rps"] for each in large)
        replicas = mean(_cores(each, hot) for each in large)
        self.per_replica = rate / MEASURED_AT
        self.answer_ms = replicas / rate * MILLI
        self.gateway_ms = mean(_cores(each, "gateway") for each in large) / rate * MILLI
        self.replica_bytes = mean(_bytes(each, hot) for each in large) / MEASURED_AT
        more = mean(_cores(each, "orders") for each in large) - mean(_cores(each, "orders") for each in small)
        self.feed_ms = more / (MEASURED_AT - 1) * MILLI


@cache
def _shop(name: str) -> _Shop:
    return _Shop(f"{name}-1", f"{name}-4", "monolith" if name == "monolith" else "recommendations")


def _each(number: Callable[[_Shop], float]) -> tuple[str, str]:
    return f"{number(_shop('monolith')):.2g}", f"{number(_shop('split')):.2g}"


def _sizes(number: Callable[[int], float]) -> list[str]:
    return [_rounded(number(size)) for size in SIZES]


def _rounded(value: float) -> str:
    """Two digits that count: more would say that this is known better than it is."""
    return f"{float(f'{value:.2g}'):,.6g}"


@cache
def _scale_hot() -> Mapping[str, Any]:
    results = json.loads((RESULTS / SHOWN_FIRST / "results.json").read_text(encoding="utf-8"))
    found: Mapping[str, Any] = next(each for each in results["experiments"] if each["name"] == "scale-hot")
    return found


def _trials(system: str) -> list[Mapping[str, Any]]:
    return [each for each in _scale_hot()["trials"] if each["id"] == system and each["valid"]]


def _cores(trial: Mapping[str, Any], service: str) -> float:
    return float(sum(each["cpu_cores"] for each in _of(trial, service)))


def _bytes(trial: Mapping[str, Any], service: str) -> float:
    return float(sum(each["uss_bytes"] for each in _of(trial, service)))


def _of(trial: Mapping[str, Any], service: str) -> list[Mapping[str, Any]]:
    return [
        each
        for each in trial["processes"]
        if each["name"].rpartition("-")[0] == service or each["name"] == service
    ]


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
