"""08: the service is slow, loses calls, or is dead, and the rest of the shop works on."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from statistics import median
from typing import Any

import psutil

from exercises.checks.checking import Answer, Bench, Shop, check
from exercises.checks.standin import Recommendations, scratch

REMOTE = "monolith/recommendations/remote.py"
PAGE_LIMIT, OTHERS_LIMIT = 0.5, 0.5
FAR_TOO_LATE, CLEARLY = 1.2, 3
"""So many pages that are later than so many seconds are not explained by a busy machine."""
BUSY = 0.5
"""Cores that other programs use. Above this, pages that are a little late are inconclusive."""
VISITS, AT_A_TIME = 60, 12
LOSES_EVERY, DEGRADED_AT_MOST = 12, 2
MAX_REPEATS = 1.5
STILL_ASKED = 30
RECOVER_SECONDS = 8.0
REST_SECONDS = 1.5
"""After this time a breaker that opened may have made its probe."""
FIRST_COUNT, LAST_COUNT = 2.0, 8.0
"""Seconds into a hang. By the first count a breaker has opened; by the last it has let some probes pass."""
MAX_MORE_HANDLES = 2
"""How many more handles there may be at the last count: a thread of the shop may open something on its first use."""


@cache
def _service() -> Recommendations:
    return Recommendations()


def _shop(bench: Bench) -> Shop:
    """The shop with a stand-in that answers; restarted when a breaker is still open from another check."""
    shop = _shop_as_it_is(bench)
    _service().behave("answer")
    if _is_degraded(shop.ask("GET", f"/products/{_skus(bench, shop, 1)[0]}")):
        shop.restart()
    return shop


def _shop_as_it_is(bench: Bench) -> Shop:
    return bench.shop(env={"SHOP_RECOMMENDATIONS_URL": _service().url, "SHOP_SWITCH_FILE": _all()})


def _all() -> str:
    """A switch file that sends all questions to the service; the workspace's own is not used."""
    file = scratch() / "all-remote.json"
    file.write_text('{"remote_percent": 100}', encoding="utf-8")
    return str(file)


@check("pages-do-not-wait", task="limit", shop=False, seconds=20)
def _(bench: Bench) -> None:
    """While the service hangs, product pages come within half a second, with bestsellers."""
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
        why="Without recommendations one panel of the page changes, and the page must still come.",
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
        got=f"{len(late)} took longer, the slowest {seconds[-1]:.2f} s (while the service works: {usual:.2f} s)",
        why="Visitors come for the product, not for recommendations, and do not want to wait for them.",
        look=f"{REMOTE}: how long one question may take, with all its attempts",
    )
    bench.note(f"slowest {seconds[-1]:.2f} s")


@check("other-visitors-do-not-notice", task="limit", shop=False, timing=True, load=True, seconds=20)
def _(bench: Bench) -> None:
    """While the service hangs and a dozen visitors look at products, other visitors do not wait."""
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
        did=f"asked for the categories for 3 s, while {AT_A_TIME} visitors look at products and the service hangs",
        expected=f"half of the answers in less than {OTHERS_LIMIT:g} s",
        got=f"{len(searches)} answers, half of them after {typical:.2f} s or later",
        why="Four threads serve the shop. When all of them wait for recommendations, nobody can buy.",
        look=REMOTE,
    )
    bench.note(f"{len(searches)} answers, typically {typical * 1000:.0f} ms")


@check("nothing-stays-open", task="limit", shop=False)
def _(bench: Bench) -> None:
    """A question that was given up leaves nothing open: a long hang takes no more handles than a short one."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    with ThreadPoolExecutor(AT_A_TIME) as pool:  # first let each thread of the shop open what it needs
        list(pool.map(lambda sku: shop.ask("GET", f"/products/{sku}"), skus))
    _service().behave("hang")
    started = time.monotonic()
    first = _handles_after(FIRST_COUNT, started, shop, skus)
    last = _handles_after(LAST_COUNT, started, shop, skus)
    _service().behave("answer")
    bench.expect(
        last - first <= MAX_MORE_HANDLES,
        did=f"let the service hang for {LAST_COUNT:g} s, looked at product pages and counted the shop's open handles",
        expected=f"as many after {LAST_COUNT:g} s as after {FIRST_COUNT:g} s",
        got=f"{first} after {FIRST_COUNT:g} s and {last} after {LAST_COUNT:g} s",
        why="Each connection that stays open is a handle. A process has about a thousand; then it accepts no visitor.",
        look=f"{REMOTE}: what ends a question and closes its connection when the time is up",
    )
    bench.note(f"{last} handles")


@check("a-lost-call-is-repeated", task="repeat", shop=False)
def _(bench: Bench) -> None:
    """A call that is lost now and then is repeated, and visitors do not notice."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    for sku in skus[:20]:  # a budget for repeats is earned with calls
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
        why="A service that restarts loses a call. One more call costs little, and reading twice does no harm.",
        look=REMOTE,
    )
    bench.note(f"{degraded} of {VISITS} pages without recommendations")


@check("repeats-have-a-bound", task="repeat", shop=False)
def _(bench: Bench) -> None:
    """A service that refuses everything gets at most one and a half times as many calls as without repeats."""
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
        why="An overloaded service cannot recover when every caller repeats its calls.",
        look=f"{REMOTE}: a budget for repeats, as in microservices/chassis/breaker.py",
    )
    bench.note(f"{asked} calls for {VISITS} pages")


@check("the-breaker-opens", task="breaker", shop=False)
def _(bench: Bench) -> None:
    """After some failures in a row the shop stops calling the service for a while."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    _service().behave("lose")
    pages = []
    while len(pages) < VISITS:  # the first failures should open the breaker
        pages.append(shop.ask("GET", f"/products/{skus[len(pages) % len(skus)]}"))
    asked = len(_service().asked())
    bench.expect(
        asked <= STILL_ASKED,
        did=f"looked at {VISITS} product pages, while every call to the service is lost",
        expected=f"the shop to stop asking for a while: at most {STILL_ASKED} calls",
        got=f"{asked} calls",
        why="More calls to a service that fails make visitors wait, and keep the service from recovering.",
        look=f"{REMOTE}: Breaker in microservices/chassis/breaker.py",
    )
    bench.expect(
        all(page.status == 200 for page in pages),
        expected="200 each time",
        got=next((page for page in pages if page.status != 200), ""),
        why="An open breaker must look to the page like any other failure: no recommendations, and no error.",
        look=REMOTE,
    )
    bench.note(f"{asked} calls for {VISITS} pages")


@check("it-comes-back", task="breaker", shop=False, seconds=20)
def _(bench: Bench) -> None:
    """When the service works again, pages have recommendations again by themselves."""
    shop = _shop_as_it_is(bench)
    skus = _skus(bench, shop, 30)
    _service().behave("lose")
    for sku in skus:
        shop.ask("GET", f"/products/{sku}")
    time.sleep(REST_SECONDS)
    for sku in skus[:5]:  # the failed probe must not close the breaker, and must not be the last one
        shop.ask("GET", f"/products/{sku}")
    _service().behave("answer")
    started = time.monotonic()
    page = shop.ask("GET", f"/products/{skus[0]}")
    while _is_degraded(page) and time.monotonic() - started < RECOVER_SECONDS:
        time.sleep(0.1)
        page = shop.ask("GET", f"/products/{bench.random.choice(skus)}")
    bench.expect(
        not _is_degraded(page),
        did=f"let the service fail for a while and then answer, and looked at product pages for {RECOVER_SECONDS:g} s",
        expected="recommendations again",
        got=_shown(page),
        why="An outage that only a person can end lasts until that person is there.",
        look=f"{REMOTE}: half open, one probe at a time",
    )
    bench.note(f"after {time.monotonic() - started:.1f} s")


def _handles_after(seconds: float, started: float, shop: Shop, skus: list[str]) -> int:
    """The shop's open files and sockets so many seconds after `started`; until then pages are requested."""
    number = 0
    while time.monotonic() < started + seconds:
        shop.try_ask("GET", f"/products/{skus[number % len(skus)]}", timeout=10)
        number += 1
        time.sleep(0.05)
    return sum(psutil.Process(pid).num_fds() for pid in shop.pids("monolith"))


def _doubt_if_busy(bench: Bench, measured: str) -> None:
    if (busy := bench.busy()) > BUSY:
        raise bench.inconclusive(f"{measured} while other programs used {busy:.1f} cores")


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
        why="The checks choose their products from this list.",
        look="monolith/catalog",
    )
    return bench.random.sample(listed, count)
