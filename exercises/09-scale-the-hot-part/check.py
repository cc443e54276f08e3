"""09: four replicas of the hot service do more than one; they come, go and die without an error for visitors."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from statistics import median
from typing import Any

import psutil
import requests

from exercises.checks.checking import Answer, Bench, Shop, check
from loadtests.rig import slices

HOT, REPLICAS, MORE_REPLICAS = "recommendations", 4, 5
CADDYFILE, TOPOLOGY = "Caddyfile", "topology.py"
REQUESTS, VISITORS = 240, 8
FAIR_SHARE = 0.04
"""The least share of the requests for each of four replicas. An even share is a quarter; the least seen was 12 %."""
CORES = 0.06
"""Cores that each replica may use: so little that four of them fit on a busy laptop."""
SECONDS, ROUNDS, CLIENTS = 2.0, 3, 16
GATE, CLEARLY_LESS = 2.5, 2.0
SATURATED = 0.75
"""Share of their slices that the replicas use at least when they are the bottleneck."""
ROUTE = re.compile(
    r'^http_requests_total\{[^}]*route="/api/products/<sku>/recommendations"[^}]*\} (\S+)$', re.MULTILINE
)


def _shop(bench: Bench) -> Shop:
    return bench.shop(scale={HOT: REPLICAS})


@check("four-share-the-work", task="pool", shop=False)
def _(bench: Bench) -> None:
    """Four replicas share the API's requests for recommendations."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    before = _answered(shop)
    answers = _ask(shop, [f"/api/products/{sku}/recommendations" for sku in skus], REQUESTS)
    _expect_shares(bench, shop, before, answers, f"asked the API {REQUESTS} times, {VISITORS} at a time")


@check("pages-ask-the-pool-too", task="pool", shop=False)
def _(bench: Bench) -> None:
    """The replicas also share the monolith's own requests, for product pages."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    before = _answered(shop)
    answers = _ask(shop, [f"/products/{sku}" for sku in skus], REQUESTS)
    _expect_shares(bench, shop, before, answers, f"looked at {REQUESTS} product pages, {VISITORS} at a time")


@check("one-dies-unnoticed", task="health", shop=False, load=True, seconds=30)
def _(bench: Bench) -> None:
    """When a replica is killed under traffic, every visitor still gets an answer."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    victim = f"{HOT}-{bench.random.randint(2, REPLICAS)}"
    with _traffic(shop, skus) as answers:
        time.sleep(1.0)
        with shop.killed(victim):
            time.sleep(1.5)
        time.sleep(0.5)
    bad = [answer for answer in answers if answer.status != 200]
    bench.expect(
        not bad,
        did=f"killed {victim}, one of {REPLICAS}, while {VISITORS} visitors ask the API",
        expected=f"no error in {len(answers)} answers",
        got=f"{len(bad)} errors, the first: {bad[0] if bad else ''}",
        why="Three replicas were up and could have answered.",
        look=f"{CADDYFILE}: lb_retries and lb_try_duration",
    )
    bench.note(f"{len(answers)} answers without an error while a replica died")


@check("replicas-come-and-go", task="health", shop=False, load=True, seconds=40)
def _(bench: Bench) -> None:
    """Replicas are taken away and added under traffic without an error, and the new ones soon take part."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    try:
        with _traffic(shop, skus) as answers:
            shop.scale(HOT, 2)
            time.sleep(0.5)
            shop.scale(HOT, MORE_REPLICAS)
            time.sleep(1.5)
            before = _answered(shop)
            time.sleep(2.0)
            shares = _shares(before, _answered(shop))
    finally:
        shop.scale(HOT, REPLICAS)
    bad = [answer for answer in answers if answer.status != 200]
    did = f"went from {REPLICAS} replicas to 2 and to {MORE_REPLICAS}, while {VISITORS} visitors ask the API"
    bench.expect(
        not bad,
        did=did,
        expected=f"no error in {len(answers)} answers",
        got=f"{len(bad)} errors, the first: {bad[0] if bad else ''}",
        why="If scaling causes errors, nobody will scale when it is needed.",
        look=f"{CADDYFILE}: health_uri /readyz, which says 503 while a replica drains",
    )
    bench.expect(
        len(shares) == MORE_REPLICAS and min(shares.values()) >= FAIR_SHARE / 2,
        did=did,
        expected="the new replicas to take part within two seconds",
        got=_listed(shares),
        why="A replica that gets no requests costs memory and brings nothing.",
        look=f"{CADDYFILE}: health_interval",
    )
    bench.note(f"{len(answers)} answers without an error")


@check("four-are-faster", task="measure", shop=False, load=True, seconds=80)
def _(bench: Bench) -> None:
    """Four replicas answer at least 2.5 times as much as one, each with the same small slice of a core."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 60)
    paths = [
        f"/api/products/{sku}/recommendations?cart={','.join(bench.random.sample(skus, 3))}" for sku in skus
    ]
    backend = slices.detect()
    try:
        rates: dict[int, float] = {}
        for count in (REPLICAS, 1):
            shop.scale(HOT, count)
            for replica in shop.fleet.replicas(HOT):
                backend.put(f"09-{replica.label}", replica.pid, CORES)
            measured = [_rate(shop, paths) for _ in range(ROUNDS)]
            rates[count], used = median(rate for rate, _ in measured), median(cores for _, cores in measured)
            if used < SATURATED * count * CORES and backend.backend != "none":
                _doubt_if_busy(bench, count, used)
            for replica in shop.fleet.replicas(HOT):
                backend.drop(f"09-{replica.label}")
    finally:
        backend.close()
        shop.scale(HOT, REPLICAS)
    times = rates[REPLICAS] / rates[1] if rates[1] else 0.0
    said = f"{rates[REPLICAS]:.0f} requests/s with {REPLICAS} replicas, {rates[1]:.0f} with one: {times:.1f} times"
    if CLEARLY_LESS <= times < GATE or (times < GATE and bench.busy() > 1.0):
        raise bench.inconclusive(f"{said}; other programs used {bench.busy():.1f} cores")
    bench.expect(
        times >= GATE,
        did=f"gave each replica {CORES:g} of a core ({backend.backend}), and let {CLIENTS} clients ask without a pause",
        expected=f"at least {GATE:g} times as many answers",
        got=said,
        why="Scaling this part alone is what recommendations became a service for.",
        look=f"{CADDYFILE}: is the work shared? {TOPOLOGY}: slots",
    )
    bench.note(said)


@check("only-the-hot-part-grows", task="measure", shop=False)
def _(bench: Bench) -> None:
    """With four replicas of the service there is still one monolith, and adding a replica adds one process."""
    shop = _shop(bench)
    parts = Counter(name.rpartition("-")[0] for name in shop.names() if name != "gateway")
    bench.expect(
        parts == {"monolith": 1, HOT: REPLICAS},
        did=f"asked for {REPLICAS} replicas of {HOT}",
        expected=f"1 monolith and {REPLICAS} {HOT}",
        got=", ".join(f"{count} {name}" for name, count in parts.items()),
        why="Four copies of a part that is not hot cost memory and bring nothing.",
        look=TOPOLOGY,
    )
    sizes = {name: _megabytes(shop, f"{name}-1") for name in ("monolith", HOT)}
    bench.note(
        f"one more replica costs {sizes[HOT]:.0f} MB, one more monolith {sizes['monolith']:.0f} MB: "
        f"{REPLICAS} replicas and 1 monolith take {sizes['monolith'] + REPLICAS * sizes[HOT]:.0f} MB, "
        f"{REPLICAS} monoliths {REPLICAS * sizes['monolith']:.0f} MB"
    )


# ---- traffic


def _ask(shop: Shop, paths: list[str], number: int) -> list[Answer]:
    """Ask for these paths in turn, VISITORS at a time."""

    def some(mine: int) -> list[Answer]:
        visitor = shop.visitor()
        return [
            visitor.try_ask("GET", paths[step % len(paths)], timeout=30)
            for step in range(mine, number, VISITORS)
        ]

    with ThreadPoolExecutor(VISITORS) as pool:
        return [answer for answers in pool.map(some, range(VISITORS)) for answer in answers]


@contextmanager
def _traffic(shop: Shop, skus: list[str]) -> Iterator[list[Answer]]:
    """Visitors ask the API while the block runs. The list of their answers is complete after the block."""
    stop, answers = threading.Event(), list[Answer]()

    def keep_asking(number: int) -> None:
        visitor = shop.visitor()
        while not stop.wait(0.02):
            path = f"/api/products/{skus[number % len(skus)]}/recommendations"
            answers.append(visitor.try_ask("GET", path, timeout=30))

    with ThreadPoolExecutor(VISITORS) as pool:
        for number in range(VISITORS):
            pool.submit(keep_asking, number)
        try:
            yield answers
        finally:
            stop.set()


def _rate(shop: Shop, paths: list[str]) -> tuple[float, float]:
    """Answers per second when clients ask without a pause, and the cores that the replicas used."""
    until = time.monotonic() + SECONDS

    def keep_asking(number: int) -> int:
        good = 0
        with requests.Session() as session:
            session.trust_env = False
            while time.monotonic() < until:
                with suppress(requests.RequestException):
                    answer = session.get(shop.url + paths[(number + good) % len(paths)], timeout=30)
                    good += answer.status_code == 200 and time.monotonic() < until
        return good

    before = _cpu_seconds(shop)
    with ThreadPoolExecutor(CLIENTS) as pool:
        good = sum(pool.map(keep_asking, range(CLIENTS)))
    return good / SECONDS, (_cpu_seconds(shop) - before) / SECONDS


def _doubt_if_busy(bench: Bench, count: int, used: float) -> None:
    """Inconclusive on a busy machine: the replicas did not use their slices, so they were not the bottleneck."""
    if bench.busy() > 1.0:
        raise bench.inconclusive(
            f"{count} replicas used {used:.2f} of their {count * CORES:.2f} cores, "
            f"and other programs used {bench.busy():.1f} cores"
        )


# ---- what the processes did


def _answered(shop: Shop) -> dict[str, float]:
    """How many requests for recommendations each replica has answered so far, by label."""
    found = {}
    with requests.Session() as session:
        session.trust_env = False
        for replica in shop.fleet.replicas(HOT):
            with suppress(requests.RequestException):
                text = session.get(f"http://127.0.0.1:{replica.port}/metrics", timeout=10).text
                found[replica.label] = sum(float(number) for number in ROUTE.findall(text))
    return found


def _shares(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    grown = {label: number - before.get(label, 0.0) for label, number in after.items()}
    return {label: number / max(1.0, sum(grown.values())) for label, number in grown.items()}


def _expect_shares(
    bench: Bench, shop: Shop, before: dict[str, float], answers: list[Answer], did: str
) -> None:
    bad = [answer for answer in answers if answer.status != 200]
    bench.expect(
        not bad,
        did=did,
        expected="200 each time",
        got=f"{len(bad)} others, the first: {bad[0] if bad else ''}",
        why="The gateway must not send requests to a slot without a replica.",
        look=f"{CADDYFILE}: health checks",
    )
    shares = _shares(before, _answered(shop))
    bench.expect(
        len(shares) == REPLICAS and min(shares.values()) >= FAIR_SHARE,
        did=did,
        expected=f"each of the four to answer at least {FAIR_SHARE:.0%} of them",
        got=_listed(shares),
        why="A replica that gets no requests costs memory and brings nothing.",
        look=f"{CADDYFILE}: lb_policy; {TOPOLOGY}: slots",
    )
    bench.note(_listed(shares))


def _listed(shares: dict[str, float]) -> str:
    return ", ".join(f"{label} {share:.0%}" for label, share in shares.items()) or "no replica"


def _cpu_seconds(shop: Shop) -> float:
    total = 0.0
    for pid in shop.pids(HOT):
        with suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system
    return total


def _megabytes(shop: Shop, name: str) -> float:
    total = 0
    for pid in shop.pids(name):
        with suppress(psutil.Error):
            total += psutil.Process(pid).memory_full_info().uss
    return total / 1e6


def _skus(bench: Bench, shop: Shop, count: int) -> list[str]:
    body: Any = shop.ask("GET", "/api/products?page_size=100").json()
    items = body.get("items", []) if isinstance(body, dict) else []
    listed = [str(item.get("sku")) for item in items if isinstance(item, dict)]
    bench.expect(
        len(listed) >= count,
        expected=f"{count} products",
        got=len(listed),
        why="The checks choose their products from this list.",
        look="monolith/catalog",
    )
    return bench.random.sample(listed, count)
