"""08: the service is slow, loses calls, or is dead, and the rest of the shop works on."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from statistics import median
from typing import Any

import psutil

from exercises.checks.checking import Answer, Bench, Shop, Visitor, check
from exercises.checks.standin import Behaviour, Recommendations, scratch
from microservices.chaos.standin import Asked

REMOTE = "monolith/recommendations/remote.py"
PAGE_LIMIT, OTHERS_LIMIT = 0.5, 0.5
FAR_TOO_LATE, CLEARLY = 1.2, 3
"""So many pages that are later than so many seconds are not explained by a busy machine."""
BUSY = 0.5
"""Cores that other programs use. Above this, pages that are a little late are inconclusive."""
VISITS, AT_A_TIME = 60, 12
GOOD_CALLS = 12
"""Calls that are answered before one is lost: a budget for repeats is earned with calls."""
LOST: dict[str, tuple[Behaviour, int]] = {
    "breaks off": ("lose", 0),
    "gets 502": ("refuse", 502),
    "gets 503": ("refuse", 503),
    "gets 504": ("refuse", 504),
}
MAX_CALLS, MAX_REPEATS, FIRST_PAGES = 2, 1.5, 12
BREAK_SECONDS = 0.3
"""A call that breaks off after this time leaves a page no time for a second one as long."""
LATE_BREAKS = 5
ERRORS = (500, 404)
"""Statuses of calls that were answered, so that they are not repeated."""
NOT_IN_A_ROW = 40
STILL_ASKED, STILL_HUNG, FAST_SECONDS = 30, 20, 0.15
RECOVER_SECONDS = 8.0
PROBERS = 8
REST_SECONDS = 1.5
"""After this time a breaker that opened may have made its probe."""
FIRST_COUNT, LAST_COUNT = 2.0, 8.0
"""Seconds into a hang. At the first count the breaker has opened; at the last it has made some probes."""
MAX_MORE_HANDLES = 2
"""So many more handles are allowed at the last count, because a thread of the shop may open a file on its first use."""


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
    """While the service hangs or drips, product pages come within half a second, with bestsellers."""
    slowest = max(
        _slowest(bench, "drip", "sends its answers one byte at a time", 3),
        _slowest(bench, "hang", "hangs", 12),
        _slowest_that_breaks(bench),
    )
    bench.note(f"slowest {slowest:.2f} s")


def _slowest(bench: Bench, behaviour: Behaviour, says: str, count: int) -> float:
    """Look at `count` pages, one after the other; returns the seconds that the slowest took."""
    shop = _shop(bench)
    skus = _skus(bench, shop, count)
    usual = median(shop.ask("GET", f"/products/{sku}").seconds for sku in skus)
    _service().behave(behaviour)
    pages = [shop.try_ask("GET", f"/products/{sku}", timeout=10) for sku in skus]
    return _expect_in_time(bench, pages, usual, says)


def _slowest_that_breaks(bench: Bench) -> float:
    """Calls break off late, after good ones, so that a repeat is allowed; returns the seconds of the slowest page."""
    shop = _shop(bench)
    skus = _skus(bench, shop, GOOD_CALLS)
    good, pages = list[Answer](), list[Answer]()
    for sku in skus[:LATE_BREAKS]:
        _service().behave("answer")
        good += [shop.ask("GET", f"/products/{each}") for each in skus]
        _service().behave("hang", seconds=BREAK_SECONDS)
        pages.append(shop.try_ask("GET", f"/products/{sku}", timeout=10))
    usual = median(page.seconds for page in good)
    return _expect_in_time(bench, pages, usual, f"breaks each call off after {BREAK_SECONDS:g} s")


def _expect_in_time(bench: Bench, pages: list[Answer], usual: float, says: str) -> float:
    """All pages came in time, but for one; returns the seconds of the slowest."""
    did = f"looked at {len(pages)} product pages, one after the other, while the service {says}"
    bad = [page for page in pages if page.status != 200 or not _is_degraded(page)]
    bench.expect(
        not bad,
        did=did,
        expected=f"200 and bestsellers each time, in less than {PAGE_LIMIT:g} s",
        got=_shown(bad[0]) if bad else "",
        why="Without recommendations one panel of the page changes, and the page must still come.",
        look=REMOTE,
    )
    took = sorted(page.seconds for page in pages)
    late = [each for each in took if each >= PAGE_LIMIT]
    if len(late) > 1 and len([each for each in took if each >= FAR_TOO_LATE + 4 * usual]) < CLEARLY:
        _doubt_if_busy(bench, f"{len(late)} of {len(pages)} pages took longer than {PAGE_LIMIT:g} s")
    bench.expect(
        len(late) <= 1,
        did=did,
        expected=f"each in less than {PAGE_LIMIT:g} s",
        got=f"{len(late)} took longer, the slowest {took[-1]:.2f} s (while the service works: {usual:.2f} s)",
        why="Visitors come for the product, not for recommendations, and do not want to wait for them.",
        look=f"{REMOTE}: how long one question may take, with all its attempts and its whole answer",
    )
    return took[-1]


@check("customers-stay-customers", task="limit", shop=False)
def _(bench: Bench) -> None:
    """The service still gets what it needs, with a repeated call too: the customer's token, the cart and the limit."""
    shop = _shop(bench)
    one, *cart = _skus(bench, shop, 3)
    ada = shop.customer("ada@example.com")
    for sku in cart:
        ada.ask("PUT", f"/api/cart/items/{sku}", json={"quantity": 1})
    browser, form = shop.visitor(), {"email": ada.email, "password": ada.password}
    browser.ask("POST", "/sign-in", form=form, headers={"Origin": shop.url})
    _service().behave("answer")
    for _ in range(GOOD_CALLS):
        page = browser.ask("GET", f"/products/{one}")
    as_ada = f"{page.curl}, as Ada with {' and '.join(cart)} in the cart"
    _expect_whole_questions(bench, _service().asked(), cart, as_ada)
    _service().behave("lose", first=1)
    page = browser.ask("GET", f"/products/{one}")
    _expect_whole_questions(bench, _service().asked(), cart, f"{as_ada}, while the first call is lost")


def _expect_whole_questions(bench: Bench, asked: list[Asked], cart: list[str], did: str) -> None:
    """Each request has a token, the products in the cart and a limit."""
    in_cart = ",".join(sorted(cart))
    shown = []
    for each in asked:
        token = "a" if each.headers.get("Authorization", "").startswith("Bearer ") else "no"
        skus = ",".join(sorted(each.query.get("cart", "").split(",")))
        shown.append(f"{token} token, cart={skus}, {'a' if each.query.get('limit') else 'no'} limit")
    whole = f"a token, cart={in_cart}, a limit"
    bench.expect(
        set(shown) == {whole},
        did=f"{did}, and read what came to the service",
        expected=f"Ada's token, cart={in_cart} and a limit in each request",
        got=" | ".join(sorted(set(shown) - {whole})) or "no request",
        why="Without the token every customer is a stranger. No page fails, and nobody notices.",
        look=f"{REMOTE}: headers and params, as in exercise 05",
    )


@check("other-visitors-do-not-notice", task="limit", shop=False, timing=True, load=True, seconds=20)
def _(bench: Bench) -> None:
    """While the service hangs and a dozen visitors look at products, another visitor searches and does not wait."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    words = _words(shop)
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
                searches.append(
                    shop.try_ask("GET", f"/search?q={words[len(searches) % len(words)]}", timeout=30)
                )
        finally:
            stop.set()
            _service().behave("answer")
    typical = median(answer.seconds for answer in searches)
    bench.expect(
        typical < OTHERS_LIMIT and all(answer.status == 200 for answer in searches),
        did=f"searched for 3 s, while {AT_A_TIME} visitors look at products and the service hangs",
        expected=f"200 each time, half of the answers in less than {OTHERS_LIMIT:g} s",
        got=f"{len(searches)} answers ({sorted({answer.status for answer in searches})}), half of them after "
        f"{typical:.2f} s or later",
        why="Four threads serve the shop. When all of them wait for recommendations, nobody can buy.",
        look=REMOTE,
    )
    bench.note(f"{len(searches)} answers, typically {typical * 1000:.0f} ms")


@check("nothing-stays-open", task="limit", shop=False, load=True, seconds=20)
def _(bench: Bench) -> None:
    """A question that was given up leaves nothing open: a long hang needs no more handles than a short one."""
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
        why="Each open connection is a handle. A process has about a thousand; without one it accepts no visitor.",
        look=f"{REMOTE}: what ends a question and closes its connection when its time is used up",
    )
    bench.note(f"{last} handles")


@check("a-lost-call-is-repeated", task="repeat", shop=False)
def _(bench: Bench) -> None:
    """A call that breaks off or gets 502, 503 or 504 is made once more, and visitors do not notice."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    for says, (behaviour, status) in LOST.items():
        degraded, calls = [], []
        for _ in range(2):
            _service().behave("answer")
            for sku in skus[:GOOD_CALLS]:
                shop.ask("GET", f"/products/{sku}")
            _service().behave(behaviour, first=1, status=status)
            page = shop.ask("GET", f"/products/{bench.random.choice(skus)}")
            degraded.append(_is_degraded(page))
            calls.append(len(_service().asked()))
        bench.expect(
            not all(degraded),
            did=f"looked at a product page after {GOOD_CALLS} good ones; the first call to the service {says}, "
            "and the next one would be answered",
            expected="a second call, and a page with recommendations, in at least one of two cases",
            got=f"{calls[-1]} {'call' if calls[-1] == 1 else 'calls'}, and bestsellers",
            why="A service that restarts loses a call. One more call costs little, and reading twice does no harm.",
            look=f"{REMOTE}: what counts as lost, and when a call is repeated",
        )


@check("a-slow-call-is-not-repeated", task="repeat", shop=False)
def _(bench: Bench) -> None:
    """A call that was too slow is not made again."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    for sku in skus[:GOOD_CALLS]:
        shop.ask("GET", f"/products/{sku}")
    _service().behave("hang", first=1)
    page = shop.ask("GET", f"/products/{skus[-1]}")
    asked = len(_service().asked())
    bench.expect(
        asked == 1,
        did=f"{page.curl}, while the first call to the service hangs and a second one would be answered",
        expected="one call, and bestsellers",
        got=f"{asked} calls",
        why="The time for the question is used up. A slow service that gets every call twice becomes slower.",
        look=f"{REMOTE}: which errors are repeated",
    )


@check("an-answer-is-not-repeated", task="repeat", shop=False)
def _(bench: Bench) -> None:
    """A call that was answered, with 500 or 404 too, is not made again."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    for status in ERRORS:
        _service().behave("answer")
        for sku in skus[:GOOD_CALLS]:
            shop.ask("GET", f"/products/{sku}")
        _service().behave("refuse", first=1, status=status)
        page = shop.ask("GET", f"/products/{skus[-1]}")
        asked = len(_service().asked())
        bench.expect(
            asked == 1,
            did=f"{page.curl}, while the first call to the service gets {status}",
            expected="one call, and bestsellers",
            got=f"{asked} calls",
            why="The call was not lost: the service has answered, and would say the same again.",
            look=f"{REMOTE}: lost means no connection, a broken one, 502, 503 or 504",
        )


@check("repeats-have-a-bound", task="repeat", shop=False, seconds=15)
def _(bench: Bench) -> None:
    """A question makes at most two calls; when most fail, repeats add no more than half of the calls."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    for sku in skus:  # a budget saved for some repeats
        shop.ask("GET", f"/products/{sku}")
    _service().behave("lose")
    page = shop.ask("GET", f"/products/{skus[0]}")
    asked = len(_service().asked())
    bench.expect(
        asked <= MAX_CALLS,
        did=f"{page.curl} after {len(skus)} good pages, while every call to the service is lost",
        expected=f"at most {MAX_CALLS} calls for a page",
        got=f"{asked} calls for one page",
        why="A question that is asked again and again uses up the repeats of the questions after it.",
        look=f"{REMOTE}: a lost call is made once more, not as often as the budget allows",
    )
    shop.restart()  # no budget saved, and a closed breaker
    calls = []
    for number in range(
        VISITS
    ):  # never more than two failing questions in a row, so that no breaker hides the repeats
        _service().behave("refuse" if number % 3 < 2 else "answer")
        shop.ask("GET", f"/products/{skus[number % len(skus)]}")
        calls.append(len(_service().asked()))
    made = [number for number in calls if number][:FIRST_PAGES]
    did = f"looked at {VISITS} product pages, while the service refuses two of three questions with 503"
    bench.expect(
        max(calls) <= MAX_CALLS,
        did=did,
        expected=f"at most {MAX_CALLS} calls for a page",
        got=f"{max(calls)} calls for one page",
        why="An overloaded service cannot recover when every caller repeats its calls.",
        look=f"{REMOTE}: a lost call is made once more, not as often as the breaker allows",
    )
    bench.expect(
        sum(made) <= MAX_REPEATS * len(made) + 0.5,
        did=did,
        expected=f"at most {MAX_REPEATS:g} times as many calls as pages that asked the service: "
        f"{MAX_REPEATS * len(made):.0f}",
        got=f"{sum(made)} calls for the first {len(made)} pages that called",
        why="An overloaded service cannot recover when every caller repeats its calls.",
        look=f"{REMOTE}: a budget for repeats, as in microservices/chassis/breaker.py",
    )
    bench.note(f"{sum(made)} calls for {len(made)} pages")


@check("the-breaker-opens", task="breaker", shop=False, seconds=25)
def _(bench: Bench) -> None:
    """After some failures in a row, lost calls or slow ones, the shop stops asking, and pages are fast."""
    lost = _calls_until_open(bench, "lose", "every call to the service is lost", VISITS, STILL_ASKED)
    _calls_until_open(bench, "refuse", "the service answers 503", VISITS, STILL_ASKED)
    hung = _calls_until_open(bench, "hang", "the service hangs", VISITS // 2, STILL_HUNG)
    bench.note(
        f"{lost} calls for {VISITS} pages while calls are lost, {hung} for {VISITS // 2} while they hang"
    )


def _calls_until_open(bench: Bench, behaviour: Behaviour, says: str, visits: int, most: int) -> int:
    """Look at pages until the breaker must have opened; returns the number of calls."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    _service().behave(behaviour)
    pages = [shop.ask("GET", f"/products/{skus[number % len(skus)]}") for number in range(visits)]
    asked = len(_service().asked())
    did = f"looked at {visits} product pages, while {says}"
    bench.expect(
        asked <= most,
        did=did,
        expected=f"the shop to stop asking for a while: at most {most} calls",
        got=f"{asked} calls",
        why="More calls to a service that fails make visitors wait, and keep the service from recovering.",
        look=f"{REMOTE}: Breaker in microservices/chassis/breaker.py; which outcomes it is told as failures",
    )
    bench.expect(
        all(page.status == 200 for page in pages),
        did=did,
        expected="200 each time",
        got=next((page for page in pages if page.status != 200), ""),
        why="An open breaker must look to the page like any other failure: no recommendations, and no error.",
        look=REMOTE,
    )
    at_last = median(page.seconds for page in pages[-10:])
    if FAST_SECONDS <= at_last < PAGE_LIMIT:
        _doubt_if_busy(bench, f"pages took {at_last:.2f} s while the breaker should be open")
    bench.expect(
        at_last < FAST_SECONDS,
        did=did,
        expected=f"pages as fast as without recommendations, once no call is made: less than {FAST_SECONDS:g} s",
        got=f"{at_last:.2f} s",
        why="An open breaker knows the answer at once.",
        look=f"{REMOTE}: what is done before the breaker is asked",
    )
    return asked


@check("failures-must-be-in-a-row", task="breaker", shop=False)
def _(bench: Bench) -> None:
    """Single failures between good answers do not open the breaker."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    calls = []
    for number in range(NOT_IN_A_ROW):
        _service().behave("answer" if number % 4 else "lose")
        shop.ask("GET", f"/products/{skus[number % len(skus)]}")
        calls.append(len(_service().asked()))
    bench.expect(
        all(calls),
        did=f"looked at {NOT_IN_A_ROW} product pages, while the service loses the calls of every fourth",
        expected="a call to the service for each page",
        got=f"no call for {calls.count(0)} pages, the first of them the page number {[*calls, 0].index(0) + 1}",
        why="Every service loses a call now and then. If these add up, the breaker opens while the service works.",
        look=f"{REMOTE}: a success sets the number of failures back to zero",
    )


@check("one-probe-at-a-time", task="breaker", shop=False, seconds=20)
def _(bench: Bench) -> None:
    """After the rest one call is made as a probe; the other visitors of that moment do not call."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    _service().behave("lose")
    for sku in skus:  # opens it
        shop.ask("GET", f"/products/{sku}")
    visitors = [shop.visitor() for _ in range(PROBERS)]
    started, rounds = time.monotonic(), [0]
    with ThreadPoolExecutor(PROBERS) as pool:
        while not rounds[-1] and time.monotonic() - started < RECOVER_SECONDS:
            time.sleep(0.25)
            rounds.append(_calls_at_once(pool, visitors, skus))
        rounds.append(
            _calls_at_once(pool, visitors, skus)
        )  # the rest may have ended in the middle of a round
    _service().behave("answer")
    bench.expect(
        max(rounds) <= 1,
        did=f"let every call fail, then {PROBERS} visitors looked at products at the same moment, again and again, "
        "until one of them asked the service, which hangs, and once more",
        expected="one call: the probe",
        got=f"{max(rounds)} calls at the same moment",
        why="If all ask at once after the rest, a service that just comes back is overrun, and all of them wait.",
        look=f"{REMOTE}: half open",
    )


def _calls_at_once(pool: ThreadPoolExecutor, visitors: list[Visitor], skus: list[str]) -> int:
    """All visitors look at a page at the same moment while the service hangs; returns the calls to the service."""
    _service().behave("hang")
    list(pool.map(lambda who, sku: who.try_ask("GET", f"/products/{sku}"), visitors, skus))
    return len(_service().asked())


@check("it-comes-back", task="breaker", shop=False, seconds=20)
def _(bench: Bench) -> None:
    """When the service works again, everything is as before by itself: each page asks, several at a time."""
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
    for sku in skus[:5]:
        shop.ask("GET", f"/products/{sku}")
    with ThreadPoolExecutor(PROBERS) as pool:
        at_once = _calls_at_once(pool, [shop.visitor() for _ in range(PROBERS)], skus)
    _service().behave("answer")
    bench.expect(
        at_once > 1,
        did=f"let the service fail and come back; after some good pages {PROBERS} visitors looked at products at the "
        "same moment",
        expected="several calls to the service",
        got="one call" if at_once else "no call",
        why="A breaker that stays half open lets one page at a time ask; the others show bestsellers for ever.",
        look=f"{REMOTE}: a probe that works closes the breaker",
    )


def _handles_after(seconds: float, started: float, shop: Shop, skus: list[str]) -> int:
    """Ask for pages until `seconds` after `started`; returns the number of the shop's open files and sockets."""
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


def _words(shop: Shop) -> list[str]:
    """Words of product names, to search for."""
    body: Any = shop.ask("GET", "/api/products?page_size=20").json()
    items = body.get("items", []) if isinstance(body, dict) else []
    return [str(item.get("name", "")).split(" ")[-1] for item in items if isinstance(item, dict)] or ["cup"]


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
