"""02: the learner's Locust file makes the traffic that was asked for, and the learner's figures are from a run.

One run of Locust serves all of these checks: a few seconds, with no more users than the learner's own file says.
What arrived is read from the shop's counters and from a record of its requests, never from the learner's file, so a
Locust file may be written in any way that makes the right traffic. The checks do not judge whether the learner's
figures are *good*. They only must be plausible, because the same measurement may be twice as slow at another time.
"""

from __future__ import annotations

import csv
import re
import shlex
import tempfile
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from math import sqrt
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import psutil

from exercises.checks import locust_run
from exercises.checks.checking import Bench, Ran, Shop, check
from loadtests.experiments.toml_text import TomlError, read_toml
from loadtests.rig.cpus import usable_cpus

FILE, FIGURES = "loadtest/locustfile.py", "loadtest/target.toml"
RUN_LOCUST = Path(locust_run.__file__).read_text(encoding="utf-8")
"""Passed as text: a process in a workspace cannot import the course's own modules."""
SECONDS = 11
MIN_USERS, MAX_USERS, USERS = 20, 100, 60
MIN_VISITS = 150
FEW_VISITS = 60
"""With fewer on a busy machine, no check says anything: most users were still in their first visit."""
DEVIATIONS = 4.0
"""How far a share may be from the wanted one, in standard deviations of a random sample of so many visits: 1 run in
16,000 is further off."""
SLACK = 0.01
BUSY_TOLERANCE = 1.7
"""On a busy machine the end of the run cuts off visits of many requests more often than short ones. Up to so many
times the tolerance is then inconclusive."""
MAX_REFUSED = 0.2
MIN_PRODUCTS = 20
MAX_LINES = 20
BUSY = 0.2
"""Share of all cores. When other programs use more, a run does not show how fast the shop is."""
WRONG_UNIT, MEMORY = 2000, "[today] memory_mb"
"""A figure that is wrong by this factor has the wrong unit, however busy the machine was. Load changes no memory."""
MIN_LEAD = 1.5
"""The hot spot must take at least so many times the seconds of the second route; otherwise the run is inconclusive."""
NOT_IN_MIX = ("/metrics", "/readyz", "/healthz", "(none)", "/api/sessions")
"""The operator's routes, and signing in, which happens once for each account of the test."""
DATA = {"SHOP_PRODUCTS": "1000", "SHOP_CUSTOMERS": "1000", "SHOP_ORDERS": "10000"}
"""More than other checks need: with few orders, recommendations have little work."""
COUNT = re.compile(
    r'^http_requests_total\{method="(\w+)",route="([^"]+)",status="(\d+)"\} (\S+)$', re.MULTILINE
)
SPENT = re.compile(r'^http_request_seconds_sum\{route="([^"]+)"\} (\S+)$', re.MULTILINE)
OF_A_PRODUCT = re.compile(r"/(?:products|items|inventory)/[A-Z0-9-]*[0-9]")
"""A name in Locust's table that has a SKU where the route has a parameter."""
SKU = re.compile(r"/products/([A-Z0-9][A-Z0-9-]{1,19})\b")
SHORTEST_PAUSE, LONGEST_PAUSE = 0.7, 1.3
"""Seconds between two visits, on average; between half a second and one and a half it is one second."""
INCOMPLETE = 0.15
"""The end of a run cuts off some visits, and a slow machine more of them."""
FEWEST_ORDERS = 30
"""When each of 60 users has one key for all orders, the keys of 30 orders all differ once in 1,400 times."""
NUMBER, TEXT = (int, float), (str,)
FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    "today": dict.fromkeys(("users", "requests_per_second", "p50_ms", "p95_ms", "memory_mb"), NUMBER),
    "hot_spot": {"route": TEXT, "requests_per_second": NUMBER, "share_of_time": NUMBER},
    "target": {"requests_per_second": NUMBER, "p95_ms": NUMBER, "why": TEXT},
}
REFUSED = "A refusal is quick. A load test full of refusals shows a fast shop that sells nothing."
EMPTY_CARTS = (
    "409 says that the cart was empty. The users share eight accounts: without pauses one user buys what another "
    "has just put into the same cart. Without the PUT there is nothing in it at all."
)
HOT = ("GET", "/api/products/<sku>/recommendations")
PARTS = (
    (HOT, ("GET", "/api/products/<sku>"), ("GET", "/api/inventory/<sku>")),
    (("POST", "/api/orders"), ("PUT", "/api/cart/items/<sku>")),
)
"""Visits of several requests: the last one of each, and those before it."""
VISITS: dict[str, tuple[str, str, float]] = {
    "look at a product": (*HOT, 0.50),
    "search": ("GET", "/api/products", 0.25),
    "open a page": ("GET", "/products/<sku>", 0.15),
    "buy": ("POST", "/api/orders", 0.10),
}
"""For each kind of visit a request that it makes once and no other kind makes, and its share of the visits."""

WITH_A_RECORD = """
import os, time

def load(target):
    from monolith.app import serving_app

    app, asked = serving_app().wsgi_app, os.open(os.environ["ASKED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def record(environ, start_response):
        query = environ["QUERY_STRING"] or environ.get("HTTP_IDEMPOTENCY_KEY", "")
        what = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{query}"
        os.write(asked, f"{time.time():.3f} {what}\\n".encode())
        return app(environ, start_response)

    return record
"""
"""The shop, with a record of what it is asked: its own log leaves the query out. An order has no query, but a key."""
VISIT = re.compile(
    r"GET /api/products/[^/]+/recommendations|GET /api/products\?.*q=|GET /products/|POST /api/orders"
)
"""The one request of each kind of visit, as in VISITS."""

Counts = dict[tuple[str, str, str], float]
"""Answered requests by method, route and status."""


@dataclass(frozen=True)
class Measured:
    """One run of the learner's Locust file, from the moment when all users had started."""

    ran: Ran
    counts: Counts
    seconds: dict[str, float]
    """Time that the shop spent on answers, by route."""
    window: float
    """Seconds between the two readings of the counters."""
    lines: list[dict[str, str]]
    """Locust's own statistics."""
    asked: list[tuple[float, str]]
    """Every request since all users had started, with its time."""
    skus: frozenset[str]
    users: int
    memory_mb: float
    busy: float
    """The most cores that other programs used while it ran."""

    @property
    def is_disturbed(self) -> bool:
        """Whether other programs used so much that the run does not show how fast the shop is."""
        return self.busy > BUSY * usable_cpus()

    @property
    def disturbance(self) -> str:
        """What disturbed it, in words."""
        return f"other programs used up to {self.busy:.1f} cores during the run"

    def asked_for(self, method: str, route: str) -> float:
        """How many requests for a route arrived."""
        return sum(number for key, number in self.counts.items() if key[:2] == (method, route))

    def visits(self) -> dict[str, float]:
        """How many visits of each kind arrived."""
        return {name: self.asked_for(method, route) for name, (method, route, _) in VISITS.items()}

    def seconds_for_each_visit(self) -> float:
        """From the beginning of a visit to the beginning of a user's next one, on average."""
        times = [at for at, what in self.asked if VISIT.match(what)]
        return self.users * (times[-1] - times[0]) / len(times) if times else 0.0

    def seconds_of_answers(self) -> float:
        """How long a visit waits for its answers, on average."""
        requests, visits = sum(self.counts.values()), sum(self.visits().values())
        return self.aggregated("Average Response Time") / 1000 * requests / (visits or 1.0)

    def aggregated(self, column: str) -> float:
        """A figure of Locust's last line, "Aggregated"."""
        text = self.lines[-1][column] if self.lines else ""
        return float(text) if re.fullmatch(r"[\d.]+", text) else 0.0


@dataclass
class Shared:
    """A run, and the ids of the checks that have used it."""

    run: Measured | None = None
    seen: set[str] = field(default_factory=set)


_runs: WeakKeyDictionary[Bench, Shared] = WeakKeyDictionary()


@check("the-mix-arrives", task="mix", load=True, shop=False, seconds=30)
def _(bench: Bench) -> None:
    """Each kind of visit arrives as often as in last week's traffic."""
    run = _run(bench, "the-mix-arrives")
    visits = run.visits()
    total = sum(visits.values())
    if 0 < total < MIN_VISITS and run.is_disturbed:
        raise bench.inconclusive(f"only {total:.0f} visits arrived; {run.disturbance}")
    bench.expect(
        total >= MIN_VISITS,
        did=run.ran.command,
        expected=f"at least {MIN_VISITS} visits in {SECONDS} s",
        got=f"{total:.0f} visits. {_locust_error(run.ran)}",
        why="A few visits do not show a mix.",
        look=f"{FILE}: wait_time, and the kinds of visits",
    )
    # The kind that is furthest off, in multiples of its tolerance.
    off, name, wanted, allowed = max(
        (
            abs(visits[name] / total - wanted) / _tolerance(wanted, total),
            name,
            wanted,
            _tolerance(wanted, total),
        )
        for name, (_, _, wanted) in VISITS.items()
    )
    if 1 < off <= BUSY_TOLERANCE and run.is_disturbed:
        raise bench.inconclusive(f"{_listed(visits)} of {total:.0f} visits; {run.disturbance}")
    bench.expect(
        off <= 1,
        did=f"{run.ran.command}, and counted what arrived at the shop",
        expected=f'"{name}" in {wanted:.0%} of the visits, plus or minus {allowed:.0%}',
        got=f"{visits[name] / total:.0%} of the visits: {_listed(visits)}",
        why="A shop is fast or slow at a certain mix. If you measure another mix, you cut in the wrong place.",
        look=f"{FILE}: the weights of the tasks",
    )
    bench.note(f"{total:.0f} visits: {_listed(visits)}")


@check("people-pause", task="mix", load=True, shop=False, seconds=30)
def _(bench: Bench) -> None:
    """Between two visits a person pauses for half a second to one and a half."""
    run = _run(bench, "people-pause")
    _expect_visits(bench, run)
    between, answers = run.seconds_for_each_visit(), run.seconds_of_answers()
    pause = between - answers
    fits = SHORTEST_PAUSE <= pause <= LONGEST_PAUSE
    if not fits and pause > SHORTEST_PAUSE / 2 and run.is_disturbed:
        raise bench.inconclusive(f"the pauses were {pause:.2f} s; {run.disturbance}")
    bench.expect(
        fits,
        did=f"{run.ran.command}, and counted the visits of {run.users} users",
        expected="a pause of one second between two visits, on average",
        got=f"{max(pause, 0.0):.2f} s: of {between:.2f} s for each visit, {answers:.2f} s are answers",
        why="Without pauses sixty users do the work of thousands. They also get in each other's way: the eight "
        "accounts are shared, and who checks out a cart that somebody else has just bought gets a 409.",
        look=f"{FILE}: wait_time = between(0.5, 1.5) in each class of users",
    )
    bench.note(f"a pause of {pause:.2f} s")


@check("visits-are-complete", task="mix", load=True, shop=False, seconds=30)
def _(bench: Bench) -> None:
    """A visit makes all of its requests: product, stock and recommendations; cart and order; a search with words."""
    run = _run(bench, "visits-are-complete")
    _expect_visits(bench, run)
    for last, *others in PARTS:
        for part in others:
            number, wanted = run.asked_for(*part), run.asked_for(*last)
            bench.expect(
                abs(number - wanted) <= INCOMPLETE * wanted + run.users / 2,
                did=f"{run.ran.command}, and counted what arrived at the shop",
                expected=f"as many of {' '.join(part)} as of {' '.join(last)}: {wanted:.0f}",
                got=f"{number:.0f}",
                why="The requests of a visit cost the shop different amounts. Without one, another mix is measured.",
                look=f"{FILE}, and the table of visits in the README",
            )
    searches = [what for _, what in run.asked if what.startswith("GET /api/products?")]
    empty = [what for what in searches if not re.search(r"[?&]q=[^&]", what) and "page_size=100" not in what]
    bench.expect(
        len(empty) <= INCOMPLETE * len(searches),
        did=f"{run.ran.command}, and read the addresses of {len(searches)} searches",
        expected="a word to search for in q=",
        got=f"{len(empty)} without one, such as {empty[0] if empty else ''}",
        why="A list of all products and a search are different work for the database.",
        look=f"{FILE}: the search; WORDS in loadtest/shelf.py",
    )
    ordered = [what.partition("?")[2] for _, what in run.asked if what.startswith("POST /api/orders?")]
    keys = [key for key in ordered if key]
    bench.expect(
        len(set(keys)) == len(keys),
        did=f"{run.ran.command}, and read the Idempotency-Key of {len(keys)} orders",
        expected="a new key for each order",
        got=f"{len(set(keys))} different keys, such as {keys[0] if keys else ''}",
        why="An order with a key that was used before is not placed: the shop sends its first answer again, which is "
        "much less work.",
        look=f"{FILE}: the Idempotency-Key of each POST",
    )
    if len(keys) < FEWEST_ORDERS and run.is_disturbed:
        raise bench.inconclusive(f"only {len(keys)} orders were placed, and {run.disturbance}")


@check("visits-are-answered", task="mix", load=True, shop=False, seconds=30)
def _(bench: Bench) -> None:
    """The visitors' requests are answered and not refused."""
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
            why=EMPTY_CARTS if what == "POST /api/orders with 409" else REFUSED,
            look=f"{FILE}: wait_time, and the cart before the order"
            if what.endswith("409")
            else f"{FILE}: the headers and the body of that request",
        )


@check("many-products-are-asked-for", task="mix", load=True, shop=False, seconds=30)
def _(bench: Bench) -> None:
    """Visitors look at many different products, as real customers do."""
    run = _run(bench, "many-products-are-asked-for")
    _expect_visits(bench, run)
    bench.expect(
        len(run.skus) >= MIN_PRODUCTS,
        did=f"{run.ran.command}, and read the shop's log",
        expected=f"at least {MIN_PRODUCTS} different products",
        got=f"{len(run.skus)} different products: {', '.join(sorted(run.skus)[:5])}",
        why="One product, asked for a thousand times, is answered from caches. Real customers ask for many products.",
        look="loadtest/shelf.py: some_sku",
    )


@check("one-line-for-each-route", task="mix", load=True, shop=False, seconds=30)
def _(bench: Bench) -> None:
    """Locust's statistics have one line for each route, not one for each product."""
    run = _run(bench, "one-line-for-each-route")
    _expect_visits(bench, run)
    names = [line["Name"] for line in run.lines[:-1]]
    odd = [name for name in names if OF_A_PRODUCT.search(name)]
    bench.expect(
        not odd,
        did=run.ran.command,
        expected="names such as /api/products/{sku}",
        got=f"{len(odd)} lines of one product each: {', '.join(odd[:3])}",
        why="A p95 needs many requests in one line. A line for each product says nothing about the route.",
        look=f"{FILE}: the argument name= of each request",
    )
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
    """The route that you name is the one that takes most of the time."""
    said = _figures(bench)["hot_spot"]
    if not said["route"].strip():
        raise _unreadable(bench, "the hot spot's route under [hot_spot]", "no route")
    run = _run(bench, "the-hot-spot-is-named")
    _expect_visits(bench, run)
    spent = sorted(run.seconds.items(), key=lambda item: -item[1])
    if len(spent) < 2 or spent[0][1] < MIN_LEAD * spent[1][1]:
        raise bench.inconclusive(f"no route takes clearly the most time in this run: {_shares(spent)}")
    did = f"{run.ran.command}, and compared http_request_seconds_sum before and after"
    bench.expect(
        _template(said["route"]) == _template(spent[0][0]),
        did=did,
        expected="the route that takes most of the time",
        got=f"{said['route'] or 'no route'}; the counters say: {_shares(spent)}",
        why="You will take a part out to scale it alone. If it is the wrong part, nothing gets faster.",
        look=f"{FIGURES}: [hot_spot] route",
    )
    share = spent[0][1] / sum(run.seconds.values())
    bench.expect(
        abs(said["share_of_time"] - share) <= 0.2,
        did=did,
        expected=f"a share of the time near {share:.2f}",
        got=f"share_of_time = {said['share_of_time']}",
        why="The share is the most that you can gain: a part with 10 % of the time can save at most 10 %.",
        look=f"{FIGURES}: [hot_spot] share_of_time, a part of 1",
    )
    bench.note(_shares(spent))


@check("the-figures-are-from-a-run", task="figures", load=True, shop=False, seconds=30)
def _(bench: Bench) -> None:
    """The figures under [today] are plausible for this machine."""
    figures = _figures(bench)
    today, hot = figures["today"], figures["hot_spot"]
    bench.expect(
        MIN_USERS <= today["users"] <= MAX_USERS,
        did=f"read {FIGURES}",
        expected=f"[today] users between {MIN_USERS} and {MAX_USERS}",
        got=f"users = {today['users']}",
        why="The check runs with as many users as you did. Fewer do not show the mix in a few seconds, and with more a "
        "laptop measures its load generator.",
        look=f"{FIGURES}: [today] users, and the run with the same -u",
    )
    run = _run(bench, "the-figures-are-from-a-run")
    _expect_visits(bench, run)
    rate, p95 = run.aggregated("Requests/s"), run.aggregated("95%")
    hot_rate = run.asked_for(*HOT) / run.window
    doubts: list[str] = []
    for name, said, now, factor in (
        ("[today] requests_per_second", today["requests_per_second"], rate, 1.6),
        ("[today] p95_ms", today["p95_ms"], p95, 25.0),
        ("[today] p50_ms", today["p50_ms"], run.aggregated("50%"), 15.0),
        (MEMORY, today["memory_mb"], run.memory_mb, 2.2),
        ("[hot_spot] requests_per_second", hot["requests_per_second"], hot_rate, 1.6),
    ):
        fits = now / factor <= said <= now * factor
        is_excused = run.is_disturbed and name != MEMORY and now / WRONG_UNIT < said < now * WRONG_UNIT
        if not fits and is_excused:
            doubts.append(f"{name} is {said}, this run has {now:.3g}; {run.disturbance}")
            continue
        bench.expect(
            fits,
            did=f"{run.ran.command}, with as many users as you say",
            expected=f"{name} near {now:.3g}, the value of this run (at most {factor:g} times more or less)",
            got=f"{name.rpartition(' ')[2]} = {said}",
            why="In exercise 09 you will compare the new shop with these figures, so they must be from the old one.",
            look=f"{FIGURES}: {name}; check the unit",
        )
    if doubts:
        raise bench.inconclusive(doubts[0])
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
        "The hot spot is one route, so it gets fewer requests than the whole shop.",
        "[hot_spot] requests_per_second",
    )
    factor = target["requests_per_second"] / hot["requests_per_second"]
    demand(
        8 <= factor <= 12,
        "about ten times the hot spot's requests per second (8 to 12 times)",
        f"{target['requests_per_second']} against {hot['requests_per_second']} today: {factor:.1f} times",
        "A target far above or below the expected traffic does not show whether the shop is fast enough.",
        "[target] requests_per_second",
    )
    demand(
        today["p50_ms"] <= target["p95_ms"] <= 1000,
        f"a p95 of at least {today['p50_ms']} ms (today's p50) and at most 1000 ms, as long as people wait",
        f"p95_ms = {target['p95_ms']}",
        "A p95 below the p50 of today cannot be kept: half of the requests take at least the p50 today.",
        "[target] p95_ms",
    )
    demand(
        len(target["why"].split()) >= 5,
        "a sentence that says what happens to people when the target is missed",
        repr(target["why"]),
        "A number without a reason is dropped at the first difficulty.",
        "[target] why",
    )


def _expect_visits(bench: Bench, run: Measured) -> None:
    bench.expect(
        sum(run.counts.values()),
        did=run.ran.command,
        expected="visits",
        got=f"no request at all. {_locust_error(run.ran)}",
        why="Without visitors there is nothing to measure.",
        look=FILE,
    )
    if run.is_disturbed and (total := sum(run.visits().values())) < FEW_VISITS:
        raise bench.inconclusive(f"only {total:.0f} visits arrived; {run.disturbance}")


def _run(bench: Bench, check_id: str) -> Measured:
    """The run that all checks share. A check that is tried again gets a new run."""
    shared = _runs.setdefault(bench, Shared())
    if shared.run is None or check_id in shared.seen:
        shared.run, shared.seen = _measure(bench), set()
    shared.seen.add(check_id)
    return shared.run


def _measure(bench: Bench) -> Measured:
    users = _users(bench)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as pool:
        env = {**DATA, "ASKED": f"{folder}/asked"}
        with bench.boot(bench.copy({"monolith/wsgi.py": WITH_A_RECORD}), env=env) as shop:
            running = pool.submit(
                bench.run,
                *("-c", RUN_LOCUST, "-f", FILE, "--headless", "--only-summary", "--host", shop.url),
                *("-u", str(users), "-r", str(users // 2), "-t", f"{SECONDS}s", "--stop-timeout", "2"),
                *("--exit-code-on-error", "0", "--csv", f"{folder}/run"),
                timeout=4.0 * SECONDS,
            )
            counts, seconds = _read_when_all_have_started(shop, users, running)
            began, began_at = time.monotonic(), time.time()
            memory_mb = _memory_mb(shop, running)
            ran, window = running.result(), time.monotonic() - began
            url, (counts_after, seconds_after) = shop.url, _read_counters(shop)
        ran = _as_a_person_runs_it(ran, url, folder)
        _expect_no_shape(bench, ran)
        lines = _read_lines(Path(folder) / "run_stats.csv")
        asked = _read_record(Path(folder) / "asked")
    return Measured(
        ran,
        {key: number - counts.get(key, 0.0) for key, number in counts_after.items()},
        {route: spent - seconds.get(route, 0.0) for route, spent in seconds_after.items()},
        window,
        lines,
        [(at, what) for at, what in asked if at >= began_at],
        frozenset(SKU.findall("\n".join(what for _, what in asked))),
        users,
        memory_mb,
        bench.busy(),
    )


def _as_a_person_runs_it(ran: Ran, url: str, folder: str) -> Ran:
    """The command to copy: the shop of the check and its files are gone after the run."""
    command = (
        ran.command.replace(f"-c {shlex.quote(RUN_LOCUST)}", "-m locust")
        .replace(url, "http://127.0.0.1:8000")
        .replace(f" --csv {folder}/run", "")
    )
    return replace(ran, command=command)


def _read_record(file: Path) -> list[tuple[float, str]]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [(float(at), what) for at, _, what in (line.partition(" ") for line in lines)]


def _expect_no_shape(bench: Bench, ran: Ran) -> None:
    shape = ran.err.strip().rpartition("\n")[2] if ran.status == locust_run.HAS_SHAPE else ""
    bench.expect(
        not shape,
        did=ran.command,
        expected="as many users, for as many seconds, as the command line says (-u, -r, -t)",
        got=f"{shape} is a LoadTestShape, which decides both and overrides the command line",
        why="The check compares runs with the same number of users, so it has to choose the number.",
        look=f"{FILE}: take the class {shape} out",
    )


def _read_when_all_have_started(
    shop: Shop, users: int, running: Future[Ran]
) -> tuple[Counts, dict[str, float]]:
    """The counters once there were twice as many requests as users: the start of the users is not part of the mix."""
    before = sum(_read_counters(shop)[0].values())
    while True:
        counts, seconds = _read_counters(shop)
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


def _read_counters(shop: Shop) -> tuple[Counts, dict[str, float]]:
    """The shop's own counters: answers by method, route and status, and seconds by route."""
    text = shop.ask("GET", "/metrics").text
    counts = {
        (method, route, status): float(number)
        for method, route, status, number in COUNT.findall(text)
        if route not in NOT_IN_MIX
    }
    seconds = {route: float(number) for route, number in SPENT.findall(text) if route not in NOT_IN_MIX}
    return counts, seconds


def _read_lines(file: Path) -> list[dict[str, str]]:
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _users(bench: Bench) -> int:
    """The number of users that the learner measured with, so that the figures can be compared; within bounds."""
    try:
        said = int(read_toml(bench.text(FIGURES))["today"]["users"])
    except (KeyError, TypeError, ValueError):
        said = USERS
    return min(max(said, MIN_USERS), MAX_USERS)


def _figures(bench: Bench) -> Any:
    """The learner's figures: none is missing, and each has the right type."""
    try:
        found = read_toml(bench.text(FIGURES))
    except TomlError as error:
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
        why="The checks compare these figures, so a program must be able to read them.",
        look=FIGURES,
    )


def _tolerance(wanted: float, total: float) -> float:
    """How far the share among `total` visits may be from the wanted one by random variation."""
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


def _locust_error(ran: Ran) -> str:
    """The last line of Locust's output when it ended with an error; otherwise empty."""
    lines = [line for line in f"{ran.out}\n{ran.err}".splitlines() if line.strip()]
    return f"Locust: {lines[-1].strip()}" if ran.status and lines else ""
