"""02: the learner's Locust file makes the traffic that was asked for, and the numbers written down are from a run.

One run of Locust serves all of these checks: a few seconds, with no more users than the learner's own file says.
What arrived is read from the shop's counters and log, never from the learner's file, so that any way to write a
Locust file is right that makes the right traffic. Whether the learner's figures are *good* is nobody's business
here; they must only be of this world, because a measurement on another afternoon may be twice as slow.
"""

from __future__ import annotations

import csv
import re
import tempfile
import time
import tomllib
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import psutil

from exercises.checks.checking import Bench, Ran, Shop, check

FILE, FIGURES = "loadtest/locustfile.py", "loadtest/target.toml"
SECONDS = 11
MIN_USERS, MAX_USERS, USERS = 20, 100, 60
MIN_VISITS = 150
DEVIATIONS = 4.0
"""How far a share may be from what was asked, in standard deviations of drawing so many visits: 1 run in 16,000."""
SLACK = 0.01
BLURRED = 1.7
"""On a busy machine visits of many requests are cut off more often than short ones: a share may be off by this more."""
MAX_REFUSED = 0.2
MIN_PRODUCTS = 20
MAX_LINES = 20
BUSY = 0.2
"""Share of all cores from which on a run says nothing about how fast the shop is."""
A_SLIP = 500
"""A figure that is off by so many times has the wrong unit, however busy the machine was."""
CLEAR = 1.5
"""The hot spot takes so many times the seconds of the second route, or nothing is said about it."""
ASIDE = ("/metrics", "/readyz", "/healthz", "(none)", "/api/sessions")
"""Not part of the mix: the operator's routes, and signing in, which happens once for each account of the test."""
DATA = {"SHOP_PRODUCTS": "1000", "SHOP_CUSTOMERS": "1000", "SHOP_ORDERS": "10000"}
"""More than other checks need: with a handful of orders there is little for recommendations to work out."""
COUNT = re.compile(
    r'^http_requests_total\{method="(\w+)",route="([^"]+)",status="(\d+)"\} (\S+)$', re.MULTILINE
)
SPENT = re.compile(r'^http_request_seconds_sum\{route="([^"]+)"\} (\S+)$', re.MULTILINE)
SKU = re.compile(r"/products/([A-Z0-9][A-Z0-9-]{1,19})\b")
NUMBER, TEXT = (int, float), (str,)
FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    "today": dict.fromkeys(("users", "requests_per_second", "p50_ms", "p95_ms", "memory_mb"), NUMBER),
    "hot_spot": {"route": TEXT, "requests_per_second": NUMBER, "share_of_time": NUMBER},
    "target": {"requests_per_second": NUMBER, "p95_ms": NUMBER, "why": TEXT},
}
HOT = ("GET", "/api/products/<sku>/recommendations")
VISITS: dict[str, tuple[str, str, float]] = {
    "look at a product": (*HOT, 0.50),
    "search": ("GET", "/api/products", 0.25),
    "open a page": ("GET", "/products/<sku>", 0.15),
    "buy": ("POST", "/api/orders", 0.10),
}
"""What each kind of visit asks once and no other kind asks, and its share of the visits."""

Counts = dict[tuple[str, str, str], float]
"""Answered requests by method, route and status."""


@dataclass(frozen=True)
class Measured:
    """One run of the learner's Locust file, from the moment when all users were there."""

    ran: Ran
    counts: Counts
    seconds: dict[str, float]
    """Time that the shop spent on answers, by route."""
    window: float
    """Seconds between the two looks at the counters."""
    lines: list[dict[str, str]]
    """Locust's own statistics."""
    skus: frozenset[str]
    memory_mb: float
    busy: float
    """Cores that other programs used at worst while it ran."""

    @property
    def is_disturbed(self) -> bool:
        """Whether how fast the shop was says nothing about the shop."""
        return self.busy > BUSY * (psutil.cpu_count() or 1)

    @property
    def disturbance(self) -> str:
        """What disturbed it, in words."""
        return f"other programs used up to {self.busy:.1f} cores meanwhile"

    def asked(self, method: str, route: str) -> float:
        """How many requests for a route arrived."""
        return sum(number for key, number in self.counts.items() if key[:2] == (method, route))

    def visits(self) -> dict[str, float]:
        """How many visits of each kind arrived."""
        return {name: self.asked(method, route) for name, (method, route, _) in VISITS.items()}

    def aggregated(self, column: str) -> float:
        """A figure of Locust's last line, "Aggregated"."""
        text = self.lines[-1][column] if self.lines else ""
        return float(text) if re.fullmatch(r"[\d.]+", text) else 0.0


@dataclass
class Shared:
    """A run, and the checks that have had it."""

    run: Measured | None = None
    seen: set[str] = field(default_factory=set)


_runs: WeakKeyDictionary[Bench, Shared] = WeakKeyDictionary()


@check("the-mix-arrives", task="mix", load=True, shop=False, seconds=30)
def _(bench: Bench) -> None:
    """Each kind of visit arrives as often as last week's traffic had it."""
    run = _run(bench, "the-mix-arrives")
    visits = run.visits()
    total = sum(visits.values())
    if 0 < total < MIN_VISITS and run.is_disturbed:
        raise bench.inconclusive(f"only {total:.0f} visits arrived; {run.disturbance}")
    bench.expect(
        total >= MIN_VISITS,
        did=run.ran.command,
        expected=f"at least {MIN_VISITS} visits in {SECONDS} s",
        got=f"{total:.0f} visits. {_locusts_words(run.ran)}",
        why="A mix cannot be told from a handful of visits.",
        look=f"{FILE}: wait_time, and the kinds of visits",
    )
    # The kind that is furthest off, in units of what luck explains.
    off, name, wanted, allowed = max(
        (abs(visits[name] / total - wanted) / _luck(wanted, total), name, wanted, _luck(wanted, total))
        for name, (_, _, wanted) in VISITS.items()
    )
    if 1 < off <= BLURRED and run.is_disturbed:
        raise bench.inconclusive(f"{_listed(visits)} of {total:.0f} visits; {run.disturbance}")
    bench.expect(
        off <= 1,
        did=f"{run.ran.command}, and counted what arrived at the shop",
        expected=f'"{name}" in {wanted:.0%} of the visits, {allowed:.0%} more or less',
        got=f"{visits[name] / total:.0%} of the visits: {_listed(visits)}",
        why="A shop is fast or slow at a mix. Measure another one, and you cut in the wrong place.",
        look=f"{FILE}: the weights of the tasks",
    )
    bench.note(f"{total:.0f} visits: {_listed(visits)}")


@check("visits-are-answered", task="mix", load=True, shop=False, seconds=30)
def _(bench: Bench) -> None:
    """What the visitors ask is answered and not refused."""
    run = _run(bench, "visits-are-answered")
    _expect_visits(bench, run)
    asked, refused = Counter[str](), Counter[str]()
    for (method, route, status), number in run.counts.items():
        asked[f"{method} {route}"] += int(number)
        if status >= "400":
            refused[f"{method} {route} with {status}"] += int(number)
    for what, number in refused.most_common():
        bench.expect(
            number <= MAX_REFUSED * asked[what.rpartition(" with ")[0]] + 1,
            did=run.ran.command,
            expected=f"at most {MAX_REFUSED:.0%} of the requests of a route refused",
            got=f"{number} times {what}",
            why="To say no is quick. A load test full of refusals shows a fast shop that sells nothing.",
            look=f"{FILE}: the headers and the body of that request",
        )


@check("many-products-are-asked-for", task="mix", load=True, shop=False, seconds=30)
def _(bench: Bench) -> None:
    """Visitors look at many products, as people do."""
    run = _run(bench, "many-products-are-asked-for")
    bench.expect(
        len(run.skus) >= MIN_PRODUCTS,
        did=f"{run.ran.command}, and read the shop's log",
        expected=f"at least {MIN_PRODUCTS} different products",
        got=f"{len(run.skus)} different products: {', '.join(sorted(run.skus)[:5])}",
        why="One product a thousand times is answered from caches that people with tastes of their own would miss.",
        look="loadtest/shelf.py: some_sku",
    )


@check("one-line-for-each-route", task="mix", load=True, shop=False, seconds=30)
def _(bench: Bench) -> None:
    """Locust's statistics have one line for each route, not one for each product."""
    run = _run(bench, "one-line-for-each-route")
    names = [line["Name"] for line in run.lines[:-1]]
    bench.expect(
        0 < len(names) <= MAX_LINES,
        did=run.ran.command,
        expected=f"at most {MAX_LINES} lines",
        got=f"{len(names)} lines: {', '.join(names[:4])}",
        why="A p95 needs many requests in one line. A hundred lines of three requests each say nothing.",
        look=f"{FILE}: the argument name= of each request",
    )


@check("the-hot-spot-is-named", task="hot-spot", load=True, shop=False, seconds=30)
def _(bench: Bench) -> None:
    """The route that you name is the one that most of the time goes into."""
    said = _figures(bench)["hot_spot"]
    if not said["route"].strip():
        raise _unreadable(bench, "the hot spot's route under [hot_spot]", "no route")
    run = _run(bench, "the-hot-spot-is-named")
    _expect_visits(bench, run)
    spent = sorted(run.seconds.items(), key=lambda item: -item[1])
    if len(spent) < 2 or spent[0][1] < CLEAR * spent[1][1]:
        raise bench.inconclusive(f"no route stands out in this run: {_shares(spent)}")
    did = f"{run.ran.command}, and compared http_request_seconds_sum before and after"
    bench.expect(
        _template(said["route"]) == _template(spent[0][0]),
        did=did,
        expected="the route that most of the time goes into",
        got=f"{said['route'] or 'no route'}; the counters say: {_shares(spent)}",
        why="You are about to take a part out to scale it alone. Take the wrong one, and nothing gets faster.",
        look=f"{FIGURES}: [hot_spot] route",
    )
    share = spent[0][1] / sum(run.seconds.values())
    bench.expect(
        abs(said["share_of_time"] - share) <= 0.2,
        did=did,
        expected=f"a share of the time near {share:.2f}",
        got=f"share_of_time = {said['share_of_time']}",
        why="The share says how much there is to win: whoever takes 10 % of the time away has taken away 10 %.",
        look=f"{FIGURES}: [hot_spot] share_of_time, a part of 1",
    )
    bench.note(_shares(spent))


@check("the-figures-are-from-a-run", task="figures", load=True, shop=False, seconds=30)
def _(bench: Bench) -> None:
    """The figures under [today] could be from this machine, today."""
    figures = _figures(bench)
    today, hot = figures["today"], figures["hot_spot"]
    run = _run(bench, "the-figures-are-from-a-run")
    _expect_visits(bench, run)
    rate, p95 = run.aggregated("Requests/s"), run.aggregated("95%")
    hot_rate = run.asked(*HOT) / run.window
    for name, said, now, factor in (
        ("[today] requests_per_second", today["requests_per_second"], rate, 1.6),
        ("[today] p95_ms", today["p95_ms"], p95, 25.0),
        ("[today] memory_mb", today["memory_mb"], run.memory_mb, 2.2),
        ("[hot_spot] requests_per_second", hot["requests_per_second"], hot_rate, 1.6),
    ):
        fits = now / factor <= said <= now * factor
        if not fits and now / A_SLIP < said < now * A_SLIP and run.is_disturbed:
            raise bench.inconclusive(f"{name} is {said}, this run has {now:.3g}; {run.disturbance}")
        bench.expect(
            fits,
            did=f"{run.ran.command}, with as many users as you say",
            expected=f"{name} of the size of {now:.3g}, which is what this run has",
            got=f"{name.rpartition(' ')[2]} = {said}",
            why="In step 09 you will hold the new shop against these figures. They have to be of the old one.",
            look=f"{FIGURES}: {name}; mind the unit",
        )
    bench.note(
        f"{rate:.0f} requests/s, p50 {run.aggregated('50%'):.0f} ms, p95 {p95:.0f} ms, {run.memory_mb:.0f} MB"
    )


@check("the-target-is-a-promise", task="target", shop=False)
def _(bench: Bench) -> None:
    """The target says how much, how fast, and why."""
    figures = _figures(bench)
    today, hot, target = figures["today"], figures["hot_spot"], figures["target"]

    def demand(holds: object, expected: str, got: str, why: str, look: str) -> None:
        bench.expect(
            holds, did=f"read {FIGURES}", expected=expected, got=got, why=why, look=f"{FIGURES}: {look}"
        )

    demand(
        0 < today["p50_ms"] <= today["p95_ms"],
        "p50_ms above 0 and not above p95_ms",
        f"p50_ms = {today['p50_ms']}, p95_ms = {today['p95_ms']}",
        "Half of the requests are at least as fast as the p50, so the p95 cannot be below it.",
        "[today]",
    )
    demand(
        0 < hot["requests_per_second"] < today["requests_per_second"],
        "a hot spot with some of today's requests",
        f"{hot['requests_per_second']} of {today['requests_per_second']} requests per second",
        "A part gets less than the whole.",
        "[hot_spot] requests_per_second",
    )
    factor = target["requests_per_second"] / hot["requests_per_second"]
    demand(
        8 <= factor <= 12,
        "ten times the hot spot's requests per second, more or less",
        f"{target['requests_per_second']} against {hot['requests_per_second']} today: {factor:.1f} times",
        "A target that is far from what will come is either missed for nothing or kept for nothing.",
        "[target] requests_per_second",
    )
    demand(
        today["p50_ms"] <= target["p95_ms"] <= 1000,
        f"a p95 that can be kept ({today['p50_ms']} ms is today's p50) and that people wait for (1000 ms)",
        f"p95_ms = {target['p95_ms']}",
        "Nobody can promise that nearly all requests are faster than half of them are on a quiet day.",
        "[target] p95_ms",
    )
    demand(
        len(target["why"].split()) >= 5,
        "a sentence that says what happens to people when the target is missed",
        repr(target["why"]),
        "A number without a reason is given up at the first difficulty.",
        "[target] why",
    )


def _expect_visits(bench: Bench, run: Measured) -> None:
    bench.expect(
        sum(run.counts.values()),
        did=run.ran.command,
        expected="visits",
        got=f"no request at all. {_locusts_words(run.ran)}",
        why="Without visitors there is nothing to measure.",
        look=FILE,
    )


def _run(bench: Bench, check_id: str) -> Measured:
    """The run that all checks share; a check that is tried again gets a new one."""
    shared = _runs.setdefault(bench, Shared())
    if shared.run is None or check_id in shared.seen:
        shared.run, shared.seen = _measure(bench), set()
    shared.seen.add(check_id)
    return shared.run


def _measure(bench: Bench) -> Measured:
    shop, users = bench.shop(env={"SHOP_LOG_LEVEL": "info", **DATA}), _users(bench)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            bench.run,
            *("-m", "locust", "-f", FILE, "--headless", "--only-summary", "--host", shop.url),
            *("-u", str(users), "-r", str(users // 2), "-t", f"{SECONDS}s", "--stop-timeout", "2"),
            *("--exit-code-on-error", "0", "--csv", f"{folder}/run"),
            timeout=4.0 * SECONDS,
        )
        counts, seconds = _look_when_all_are_there(shop, users, running)
        began = time.monotonic()
        memory_mb = _memory_mb(shop, running)
        ran, window = running.result(), time.monotonic() - began
        lines = _read_lines(Path(folder) / "run_stats.csv")
    counts_after, seconds_after = _look(shop)
    return Measured(
        ran,
        {key: number - counts.get(key, 0.0) for key, number in counts_after.items()},
        {route: spent - seconds.get(route, 0.0) for route, spent in seconds_after.items()},
        window,
        lines,
        frozenset(SKU.findall("\n".join(shop.log("monolith").tail(20_000)))),
        memory_mb,
        bench.busy(),
    )


def _look_when_all_are_there(shop: Shop, users: int, running: Future[Ran]) -> tuple[Counts, dict[str, float]]:
    """The counters once there were twice as many requests as there are users: arriving is not part of the mix."""
    before = sum(_look(shop)[0].values())
    while True:
        counts, seconds = _look(shop)
        if sum(counts.values()) >= before + 2 * users or running.done():
            return counts, seconds
        wait([running], timeout=0.1)


def _memory_mb(shop: Shop, running: Future[Ran]) -> float:
    """The largest resident memory of the shop's processes while the load runs."""
    most = 0.0
    while True:
        ours = [psutil.Process(pid) for pid in shop.pids("monolith")]
        every = {process for each in ours for process in (each, *each.children(recursive=True))}
        most = max(most, sum(process.memory_info().rss for process in every) / 1e6)
        if wait([running], timeout=1.0).done:
            return most


def _look(shop: Shop) -> tuple[Counts, dict[str, float]]:
    """The shop's own counters: answers by method, route and status, and seconds by route."""
    text = shop.ask("GET", "/metrics").text
    counts = {
        (method, route, status): float(number)
        for method, route, status, number in COUNT.findall(text)
        if route not in ASIDE
    }
    seconds = {route: float(number) for route, number in SPENT.findall(text) if route not in ASIDE}
    return counts, seconds


def _read_lines(file: Path) -> list[dict[str, str]]:
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _users(bench: Bench) -> int:
    """As many as the learner measured with, so that the figures can be compared, within bounds."""
    try:
        said = int(tomllib.loads(bench.text(FIGURES))["today"]["users"])
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError):
        said = USERS
    return min(max(said, MIN_USERS), MAX_USERS)


def _figures(bench: Bench) -> Any:
    """The learner's figures: all there, and numbers where numbers belong."""
    try:
        found = tomllib.loads(bench.text(FIGURES))
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(bench, "a file in TOML", str(error)) from None
    for table, fields in FIELDS.items():
        given = found.get(table)
        for name, kind in fields.items():
            value = given.get(name) if isinstance(given, dict) else None
            if not isinstance(value, kind) or isinstance(value, bool):
                what = "a text" if kind == TEXT else "a number"
                raise _unreadable(bench, f"[{table}] {name}, {what}", repr(value))
    return found


def _unreadable(bench: Bench, expected: str, got: str) -> Exception:
    return bench.not_yet(
        did=f"read {FIGURES}",
        expected=expected,
        got=got,
        why="Figures that a program can read can be compared.",
        look=FIGURES,
    )


def _luck(wanted: float, total: float) -> float:
    """How far the share of so many visits may be from the wanted one by luck."""
    return DEVIATIONS * sqrt(wanted * (1 - wanted) / total) + SLACK


def _listed(visits: dict[str, float]) -> str:
    total = sum(visits.values()) or 1.0
    return ", ".join(f"{name} {number / total:.0%}" for name, number in visits.items())


def _shares(spent: list[tuple[str, float]]) -> str:
    total = sum(seconds for _, seconds in spent) or 1.0
    return ", ".join(f"{route} {seconds / total:.0%}" for route, seconds in spent[:3])


def _template(route: str) -> str:
    """A route as Flask or as OpenAPI writes it, with or without the method."""
    return re.sub(r"[<{][^>}]*[>}]", "*", route.strip().rpartition(" ")[2]).rstrip("/")


def _locusts_words(ran: Ran) -> str:
    """The last thing that Locust said, when it did not come to an end by itself."""
    lines = [line for line in f"{ran.out}\n{ran.err}".splitlines() if line.strip()]
    return f"Locust: {lines[-1].strip()}" if ran.status and lines else ""
