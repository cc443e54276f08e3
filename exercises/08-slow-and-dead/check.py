"""08: the service is slow, loses calls, or is dead, and its failure stays its own."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from statistics import median
from typing import Any

import psutil

from exercises.checks.checking import Answer, Bench, Shop, check
from exercises.checks.standin import StandIn, scratch

REMOTE = "monolith/recommendations/remote.py"
PAGE_LIMIT, OTHERS_LIMIT = 0.5, 0.5
FAR_TOO_LATE, CLEARLY = 1.2, 3
"""Seconds, and pages: so late, so often is no noise of a busy machine."""
BUSY = 0.5
"""Cores that others use: beyond this, what is a little late says nothing."""
VISITS, AT_A_TIME = 60, 12
LOSES_EVERY, DEGRADED_AT_MOST = 12, 2
MAX_REPEATS = 1.5
STILL_ASKED = 30
BACK_WITHIN = 8.0
RESTED = 1.5
"""Seconds after which a breaker that opened may have let a probe pass."""
FIRST_COUNT, LAST_COUNT = 2.0, 8.0
"""Seconds into a hang: by the first a breaker has opened, and until the last it has let some probes pass."""
LEFT_OPEN = 2
"""Handles that may be more at the last count: what a thread of the shop opens on its first use."""


@cache
def _service() -> StandIn:
    return StandIn()


def _shop(bench: Bench) -> Shop:
    """The shop with a made-up service that is well; started anew where a breaker is still open from another check."""
    shop = _shop_as_it_is(bench)
    _service().behave("answer")
    if _is_degraded(shop.ask("GET", f"/products/{_skus(bench, shop, 1)[0]}")):
        shop.restart()
    return shop


def _shop_as_it_is(bench: Bench) -> Shop:
    return bench.shop(env={"SHOP_RECOMMENDATIONS_URL": _service().url, "SHOP_SWITCH_FILE": _all()})


def _all() -> str:
    """A switch that sends everything to the service, whatever the workspace's own says."""
    file = scratch() / "all-remote.json"
    file.write_text('{"remote_percent": 100}', encoding="utf-8")
    return str(file)


@check("pages-do-not-wait", task="limit", shop=False, seconds=20)
def _(bench: Bench) -> None:
    """While the service hangs, a product page is there in half a second, with bestsellers."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 12)
    usual = median(shop.ask("GET", f"/products/{sku}").seconds for sku in skus)
    _service().behave("hang")
    pages = [shop.try_ask("GET", f"/products/{sku}", timeout=10) for sku in skus]
    did = f"looked at {len(pages)} product pages, one after the other, while the service hangs"
    bad = [page for page in pages if page.status != 200 or not _is_degraded(page)]
    bench.expect(
        not bad,
        did=did,
        expected="200 and bestsellers each time",
        got=_shown(bad[0]) if bad else "",
        why="A panel is missing, the page is not.",
        look=REMOTE,
    )
    seconds = sorted(page.seconds for page in pages)
    late = [each for each in seconds if each >= PAGE_LIMIT]
    if len(late) > 1 and len([each for each in seconds if each >= FAR_TOO_LATE + 4 * usual]) < CLEARLY:
        _doubt_if_busy(bench, f"{len(late)} of {len(pages)} pages took longer than {PAGE_LIMIT:g} s")
    bench.expect(
        len(late) <= 1,
        did=did,
        expected=f"each in less than {PAGE_LIMIT:g} s",
        got=f"{len(late)} took longer, the slowest {seconds[-1]:.2f} s (with the service well: {usual:.2f} s)",
        why="Visitors do not wait for what they came without.",
        look=f"{REMOTE}: how long one question may take, with all its attempts",
    )
    bench.note(f"slowest {seconds[-1]:.2f} s")


@check("other-visitors-do-not-notice", task="limit", shop=False, timing=True, load=True, seconds=20)
def _(bench: Bench) -> None:
    """While the service hangs and many look at products, those who search do not wait."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    _service().behave("hang")
    stop = threading.Event()

    def look_around(number: int) -> None:
        visitor = shop.visitor()
        while not stop.is_set():
            visitor.try_ask("GET", f"/products/{skus[number % len(skus)]}", timeout=30)
            stop.wait(0.1)

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        try:
            for number in range(AT_A_TIME):
                pool.submit(look_around, number)
            searches = []
            until = time.monotonic() + 3.0
            while time.monotonic() < until:
                searches.append(shop.try_ask("GET", "/api/categories", timeout=30))
        finally:
            stop.set()
            _service().behave("answer")
    typical = median(answer.seconds for answer in searches)
    bench.expect(
        typical < OTHERS_LIMIT,
        did=f"asked for the categories for 3 s, while {AT_A_TIME} others look at products and the service hangs",
        expected=f"half of the answers in less than {OTHERS_LIMIT:g} s",
        got=f"{len(searches)} answers, half of them after {typical:.2f} s or later",
        why="Four threads serve the shop. When all of them wait for recommendations, nobody can buy.",
        look=REMOTE,
    )
    bench.note(f"{len(searches)} answers, typically {typical * 1000:.0f} ms")


@check("nothing-stays-open", task="limit", shop=False)
def _(bench: Bench) -> None:
    """A question that was given up leaves nothing open: a long hang costs no more than a short one."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    with ThreadPoolExecutor(AT_A_TIME) as pool:  # so that each thread of the shop has opened what it needs
        list(pool.map(lambda sku: shop.ask("GET", f"/products/{sku}"), skus))
    _service().behave("hang")
    started = time.monotonic()
    first = _handles_after(FIRST_COUNT, started, shop, skus)
    last = _handles_after(LAST_COUNT, started, shop, skus)
    _service().behave("answer")
    bench.expect(
        last - first <= LEFT_OPEN,
        did=f"let the service hang for {LAST_COUNT:g} s, looked at product pages and counted the shop's open handles",
        expected=f"as many after {LAST_COUNT:g} s as after {FIRST_COUNT:g} s",
        got=f"{first} after {FIRST_COUNT:g} s and {last} after {LAST_COUNT:g} s",
        why="Each connection left open is a handle. A process has about a thousand; without one it takes no visitor.",
        look=f"{REMOTE}: what ends a question and closes its connection when the time is up",
    )
    bench.note(f"{last} handles")


@check("a-lost-call-is-repeated", task="repeat", shop=False)
def _(bench: Bench) -> None:
    """A call that gets lost once in a while is repeated, and no visitor sees it."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    for sku in skus[:20]:  # what a budget for repeats is earned with
        shop.ask("GET", f"/products/{sku}")
    _service().behave("lose", every=LOSES_EVERY)
    pages = [shop.ask("GET", f"/products/{skus[number % len(skus)]}") for number in range(VISITS)]
    asked = len(_service().asked())
    degraded = sum(map(_is_degraded, pages))
    bench.expect(
        degraded <= DEGRADED_AT_MOST,
        did=f"looked at {VISITS} product pages, while each {LOSES_EVERY}th call to the service is lost",
        expected=f"recommendations on all of them, or all but {DEGRADED_AT_MOST}",
        got=f"{degraded} pages without, after {asked} calls",
        why="A service that is restarted loses a call. To ask once more costs little, and reading twice harms nothing.",
        look=REMOTE,
    )
    bench.note(f"{degraded} of {VISITS} pages without recommendations")


@check("repeats-have-a-bound", task="repeat", shop=False)
def _(bench: Bench) -> None:
    """A service that refuses everything gets at most one and a half times the calls that it would get anyway."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    _service().behave("refuse")
    for number in range(VISITS):
        shop.ask("GET", f"/products/{skus[number % len(skus)]}")
    asked = len(_service().asked())
    bench.expect(
        asked <= MAX_REPEATS * VISITS,
        did=f"looked at {VISITS} product pages, while the service refuses each call with 503",
        expected=f"at most {MAX_REPEATS:g} times as many calls: {MAX_REPEATS * VISITS:.0f}",
        got=f"{asked} calls",
        why="A service that goes down under load goes down for good when everybody asks three times.",
        look=f"{REMOTE}: a budget for repeats, as in microservices/chassis/breaker.py",
    )
    bench.note(f"{asked} calls for {VISITS} pages")


@check("the-breaker-opens", task="breaker", shop=False)
def _(bench: Bench) -> None:
    """After some failures in a row the shop stops asking for a while."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    _service().behave("lose")
    pages = []
    while len(pages) < VISITS:  # the first failures, after which the breaker has reason to open
        pages.append(shop.ask("GET", f"/products/{skus[len(pages) % len(skus)]}"))
    asked = len(_service().asked())
    bench.expect(
        asked <= STILL_ASKED,
        did=f"looked at {VISITS} product pages, while every call to the service is lost",
        expected=f"the shop to stop asking for a while: at most {STILL_ASKED} calls",
        got=f"{asked} calls",
        why="To know that it fails and still wait for it each time helps neither the visitor nor the service.",
        look=f"{REMOTE}: Breaker in microservices/chassis/breaker.py",
    )
    bench.expect(
        all(page.status == 200 for page in pages),
        expected="200 each time",
        got=next((page for page in pages if page.status != 200), ""),
        why="A breaker that is open is one more reason to have no recommendations, and no other error.",
        look=REMOTE,
    )
    bench.note(f"{asked} calls for {VISITS} pages")


@check("it-comes-back", task="breaker", shop=False, seconds=20)
def _(bench: Bench) -> None:
    """Once the service is well again, so are the pages, without anybody doing anything."""
    shop = _shop_as_it_is(bench)
    skus = _skus(bench, shop, 30)
    _service().behave("lose")
    for sku in skus:
        shop.ask("GET", f"/products/{sku}")
    time.sleep(RESTED)
    for sku in skus[:5]:  # a probe that fails must not close it, and must not be the last one
        shop.ask("GET", f"/products/{sku}")
    _service().behave("answer")
    started = time.monotonic()
    page = shop.ask("GET", f"/products/{skus[0]}")
    while _is_degraded(page) and time.monotonic() - started < BACK_WITHIN:
        time.sleep(0.1)
        page = shop.ask("GET", f"/products/{bench.random.choice(skus)}")
    bench.expect(
        not _is_degraded(page),
        did=f"let the service fail for a while and then answer, and looked at product pages for {BACK_WITHIN:g} s",
        expected="recommendations again",
        got=_shown(page),
        why="An outage that needs a person to end lasts until somebody wakes up.",
        look=f"{REMOTE}: half open, one probe at a time",
    )
    bench.note(f"after {time.monotonic() - started:.1f} s")


def _handles_after(seconds: float, started: float, shop: Shop, skus: list[str]) -> int:
    """Open files and sockets of the shop so long after `started`, with a page looked at now and then until there."""
    number = 0
    while time.monotonic() < started + seconds:
        shop.try_ask("GET", f"/products/{skus[number % len(skus)]}", timeout=10)
        number += 1
        time.sleep(0.05)
    return sum(psutil.Process(pid).num_fds() for pid in shop.pids("monolith"))


def _doubt_if_busy(bench: Bench, measured: str) -> None:
    if (busy := bench.busy()) > BUSY:
        raise bench.inconclusive(f"{measured}, while others used {busy:.1f} cores")


def _is_degraded(page: Answer) -> bool:
    return ">Bestsellers<" in page.text


def _shown(page: Answer) -> str:
    return f"{page.status}, {'with bestsellers' if _is_degraded(page) else 'without bestsellers'}, {page.seconds:.2f} s"


def _skus(bench: Bench, shop: Shop, count: int) -> list[str]:
    body: Any = shop.ask("GET", "/api/products?page_size=100").json()
    items = body.get("items", []) if isinstance(body, dict) else []
    listed = [str(item.get("sku")) for item in items if isinstance(item, dict)]
    bench.expect(
        len(listed) >= count,
        expected=f"{count} products",
        got=len(listed),
        why="It is a shop.",
        look="monolith/catalog",
    )
    return bench.random.sample(listed, count)
