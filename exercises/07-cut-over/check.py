"""07: a switch moves a share of the questions to the service, and the old code is deleted."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import requests

from exercises.checks.checking import Answer, Bench, Shop, check
from exercises.checks.standin import Recommendations, scratch

SWITCH, ROUTES = "monolith/recommendations/switch.py", "Caddyfile"
SHARE, TOLERANCE, CLEARLY_WRONG = 10.0, 4.0, 8.0
PAGES, AT_A_TIME = 600, 6
SETTLE_SECONDS = 1.5
"""From the change of the share to the first page that is counted."""
SWITCH_SECONDS = 1.0
TABLES = ("co_purchases", "popularity", "purchases", "feed_position")
APPROVED = "4242424242424242"
ROUTE = re.compile(
    r'^http_requests_total\{[^}]*route="/api/products/<sku>/recommendations"[^}]*\} (\S+)$', re.MULTILINE
)


@cache
def _service() -> Recommendations:
    return Recommendations()


def _set(percent: float) -> None:
    """Replace the whole switch file at once."""
    _write(json.dumps({"remote_percent": percent}))


def _write(text: str) -> None:
    draft = _switch().with_suffix(".new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(_switch())


def _switch() -> Path:
    return scratch() / "switch.json"


def _shop(bench: Bench) -> Shop:
    """The shop with a switch file of the check's own and a stand-in for the service, which counts its requests."""
    if not _switch().exists():
        _set(0)
    where = {
        "SHOP_RECOMMENDATIONS_URL": _service().url,
        "SHOP_SWITCH_FILE": str(_switch()),
    }
    return bench.shop(env=where)


@check("ten-percent", task="switch", shop=False, load=True, seconds=40)
def _(bench: Bench) -> None:
    """With the switch at 10, ten of a hundred product pages ask the service."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 40)
    _set(SHARE)
    time.sleep(SETTLE_SECONDS)
    pages = asked = 0
    for _ in range(3):
        _service().behave("answer")
        answers = _visit(shop, skus, PAGES)
        pages, asked = pages + len(answers), asked + len(_service().asked())
        share = 100 * asked / pages
        if abs(share - SHARE) <= TOLERANCE or abs(share - SHARE) >= CLEARLY_WRONG:
            break
    broken = [answer for answer in answers if answer.status != 200]
    bench.expect(
        not broken,
        expected="200 for every page",
        got=broken[0] if broken else "",
        why="A page must not fail, whichever recommender is asked for it.",
        look=SWITCH,
    )
    bench.expect(
        abs(share - SHARE) <= TOLERANCE,
        did=f'wrote {{"remote_percent": {SHARE:g}}} into the switch and looked at {pages} product pages',
        expected=f"{SHARE:g} % of them to ask the service, plus or minus {TOLERANCE:g}",
        got=f"{share:.1f} % ({asked} questions)",
        why="If the service is bad, only a tenth of the pages should show it.",
        look=SWITCH,
    )
    bench.note(f"{share:.1f} % of {pages} pages")


@check("back-within-a-second", task="switch", shop=False, seconds=20)
def _(bench: Bench) -> None:
    """When the switch is set to 100 and back to 0, pages follow within a second, and none fails."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 20)
    _service().behave("answer")
    _set(100)
    seen: list[Answer] = []

    def page() -> bool:
        before = len(_service().asked())
        seen.append(shop.try_ask("GET", f"/products/{bench.random.choice(skus)}"))
        return len(_service().asked()) > before

    def seconds_until(percent: int, *, asks: bool) -> float:
        """Set the share; the seconds until five pages in a row are right, 10 when that does not happen."""
        _set(percent)
        started, right, since = time.monotonic(), 0, 0.0
        while right < 5 and time.monotonic() - started < 10:
            since = since if right else time.monotonic() - started
            right = right + 1 if page() is asks else 0
        return since if right >= 5 else 10.0

    there, back = seconds_until(100, asks=True), seconds_until(0, asks=False)
    bad = [answer for answer in seen if answer.status != 200]
    bench.expect(
        not bad,
        expected="200 for every page while the share changes",
        got=bad[0] if bad else "",
        why="Nobody will use a switch that breaks pages.",
        look=SWITCH,
    )
    slower = max(there, back)
    if SWITCH_SECONDS <= slower < 5 and bench.busy() > 1.0:
        raise bench.inconclusive(
            f"the switch took {slower:.1f} s while other programs used {bench.busy():.1f} cores"
        )
    bench.expect(
        slower < SWITCH_SECONDS,
        did="set the switch to 100 and then to 0, while looking at product pages",
        expected=f"pages that ask the service, and then pages that do not, within {SWITCH_SECONDS:g} s",
        got=f"it took {there:.1f} s and {back:.1f} s" + (" (or never)" if slower >= 10 else ""),
        why="A rollback that needs a deployment is too slow for an incident.",
        look=SWITCH,
    )
    bench.note(f"to 100 in {there:.2f} s, back to 0 in {back:.2f} s, {len(seen)} pages without an error")


@check("a-broken-switch-changes-nothing", task="switch", shop=False)
def _(bench: Bench) -> None:
    """A switch file that is half written, has no valid content or is missing breaks no page."""
    shop = _shop(bench)
    (sku,) = _skus(bench, shop, 1)
    _service().behave("answer")
    file = _switch()
    try:
        for text in ('{"remote_per', "", "[1]", '{"remote_percent": "many"}', None):
            if text is None:
                file.unlink()
            else:
                file.write_text(text, encoding="utf-8")
            time.sleep(0.4)
            answer = shop.ask("GET", f"/products/{sku}")
            bench.expect(
                answer.status == 200,
                did=f"{'removed the switch file' if text is None else f'wrote {text!r} into it'}: {answer.curl}",
                expected="200: the share stays what it was",
                got=answer,
                why="People edit this file in a hurry, so it will have mistakes at times.",
                look=SWITCH,
            )
    finally:
        _set(0)


@check("the-door-asks-the-service", task="route", oracle=True)
def _(bench: Bench) -> None:
    """The gateway sends the API's requests to the service, past the monolith, and the answers are as before."""
    shop = bench.shop()
    why = "A hop that only passes the request on costs time and can fail."
    for sku in [*_skus(bench, shop, 4), "NO-SUCH-SKU", "not%20a%20sku"]:
        path = f"/api/products/{sku}/recommendations?limit=4"
        theirs, before = bench.oracle().ask("GET", path), (_answered(shop, "recommendations"), _asked(shop))
        mine = shop.ask("GET", path)
        bench.expect(
            (mine.status, mine.json()) == (theirs.status, theirs.json()),
            expected=f"what the untouched monolith answers: {theirs}",
            got=mine,
            why="The API's clients keep the address and must get the same answers.",
            look=ROUTES,
        )
        after = (_answered(shop, "recommendations"), _asked(shop))
        bench.expect(
            after[0] == before[0] + 1 and after[1] == before[1],
            expected="one request at the service, and none at the monolith: it goes past the monolith",
            got=f"{after[0] - before[0]:.0f} at the service, {after[1] - before[1]:.0f} at the monolith",
            why=why,
            look=ROUTES,
        )
    for path in ("/api/products?page_size=3", f"/api/products/{bench.some_sku()}"):
        bench.same("GET", path, why="The monolith still owns the rest of /api/products.", look=ROUTES)


@check("the-monolith-has-it-no-more", task="delete")
def _(bench: Bench) -> None:
    """The monolith has neither the tables nor the route of recommendations any more."""
    shop = bench.shop()
    with closing(sqlite3.connect(shop.database("monolith"))) as db:
        there = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    left = [table for table in TABLES if table in there]
    bench.expect(
        not left,
        did="looked into the monolith's database",
        expected="no tables of recommendations",
        got=", ".join(left),
        why="When two own the same data, one changes it and the other uses an old copy.",
        look="monolith/recommendations, monolith/seed.py",
    )
    path = f"/api/products/{bench.some_sku()}/recommendations"
    status = _direct(shop, "monolith", path)[0]
    bench.expect(
        status == 404,
        did=f"asked the monolith itself: GET {path}",
        expected="404",
        got=status,
        why="Code that nobody needs costs time, and somebody will change it by mistake.",
        look="monolith/app.py, monolith/recommendations/routes.py",
    )


@check("the-shop-sells-without-it", task="delete")
def _(bench: Bench) -> None:
    """When the service is dead, there are no recommendations anywhere, and the shop sells."""
    shop, sku = bench.shop(), bench.some_sku()
    customer = shop.customer()
    with shop.killed("recommendations"):
        page = shop.ask("GET", f"/products/{sku}")
        api = shop.ask("GET", f"/api/products/{sku}/recommendations")
        customer.ask("PUT", f"/api/cart/items/{sku}", json={"quantity": 1})
        key = {"Idempotency-Key": "without-it-0001"}
        sold = customer.ask("POST", "/api/orders", json={"card_number": APPROVED}, headers=key)
    bench.expect(
        page.status == 200 and ">Bestsellers<" in page.text,
        did=f"killed the service: {page.curl}",
        expected="200 and a panel with bestsellers",
        got=f"{page.status}{' with recommendations' if 'Goes well with' in page.text else ''}",
        why="Only the service can recommend now, and it is down.",
        look="monolith/recommendations, monolith/storefront/routes.py",
    )
    bench.expect(
        api.status in (502, 503, 504),
        did=f"killed the service: {api.curl}",
        expected="502, 503 or 504",
        got=api,
        why="Another answer would come from code that should be deleted.",
        look=ROUTES,
    )
    bench.expect(
        sold.status == 201,
        did=f"killed the service: {sold.curl}",
        expected="201: sold",
        got=sold,
        why="Checkout does not need recommendations.",
        look="monolith/orders",
    )


# ---- asking


def _visit(shop: Shop, skus: list[str], number: int) -> list[Answer]:
    """Look at product pages, several visitors at a time."""

    def look_around(mine: int) -> list[Answer]:
        visitor = shop.visitor()
        return [
            visitor.try_ask("GET", f"/products/{skus[step % len(skus)]}", timeout=30)
            for step in range(mine, number, AT_A_TIME)
        ]

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return [answer for answers in pool.map(look_around, range(AT_A_TIME)) for answer in answers]


def _answered(shop: Shop, name: str) -> float:
    """Requests for recommendations that a process answered."""
    return sum(float(number) for number in ROUTE.findall(_direct(shop, name, "/metrics")[1]))


def _asked(shop: Shop) -> float:
    """Visitors' requests at the monolith: all but those of the launcher and of other services."""
    lines = _direct(shop, "monolith", "/metrics")[1].splitlines()
    counted = [line for line in lines if line.startswith("http_requests_total{")]
    own = (
        'route="/metrics"',
        'route="/readyz"',
        'route="/internal/events"',
        'route="/.well-known/jwks.json"',
    )
    return sum(float(line.rpartition(" ")[2]) for line in counted if not any(route in line for route in own))


def _direct(shop: Shop, name: str, path: str) -> tuple[int, str]:
    """Status and text of a GET to a process, past the gateway; status 0 when there was no answer."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(f"http://127.0.0.1:{shop.fleet.replicas(name)[0].port}{path}", timeout=10)
        except (requests.RequestException, LookupError) as error:
            return 0, str(error)
    return answer.status_code, answer.text


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
