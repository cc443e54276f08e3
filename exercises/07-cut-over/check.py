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
from tempfile import TemporaryDirectory
from typing import Any

import requests

from exercises.checks.checking import Answer, Bench, Shop, check
from exercises.checks.standin import Recommendations, scratch
from microservices.launcher import sqlite_url

SWITCH, ROUTES = "monolith/recommendations/switch.py", "Caddyfile"
SHARE, TOLERANCE, CLEARLY_WRONG = 10.0, 4.0, 8.0
PAGES, AT_A_TIME = 600, 6
SETTLE_SECONDS = 1.5
"""From the change of the share to the first page that is counted."""
SWITCH_SECONDS = 1.0
READ_SECONDS = 0.5
"""From a change of the file to the page that must show it, or must not."""
OLD_FILES = ("comparisons", "learning", "local", "models", "ranking", "routes", "service", "shadow")
SENSELESS = (
    ("-5", 100),
    ("NaN", 100),
    ("true", 100),
    ("null", 100),
    ('"0"', 100),
    ("500", 0),
    ("100.5", 0),
)
"""What is in the file instead of a number from 0 to 100, and the share before it."""
HALF, QUESTIONS = 50, 24
"""With half of the questions for each side, 24 in a row are answered by one side once in eight million times."""
TABLES = ("co_purchases", "popularity", "purchases", "feed_position")
APPROVED = "4242424242424242"
ROUTE = re.compile(
    r'^http_requests_total\{[^}]*route="/api/products/<sku>/recommendations"[^}]*\} (\S+)$', re.MULTILINE
)


MANY = 600
"""Questions: at a share of 1 %, none of them comes to the service once in 400 times."""
HUNG_SECONDS = 5.0
ALONE = """
import json, os
from monolith.app import create_app
from monolith.recommendations.interface import RecommendationsUnavailable, recommender

app = create_app()
page = app.test_client().get(f"/products/{os.environ['SKU']}")
with app.test_request_context():
    for _ in range(int(os.environ["MANY"])):
        try:
            recommender().suggest(os.environ["SKU"], [], None, 8)
        except RecommendationsUnavailable:
            pass
print(json.dumps([page.status_code, ">Bestsellers<" in page.text]), flush=True)
os._exit(0)
"""


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


@check("the-ends-are-exact", task="switch", shop=False, load=True, seconds=40)
def _(bench: Bench) -> None:
    """With the switch at 0 no page asks the service, and with 100 every page does."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 40)
    for percent, expected in ((0, 0), (100, PAGES)):
        _set(percent)
        time.sleep(SETTLE_SECONDS)
        _service().behave("answer")
        _visit(shop, skus, PAGES)
        asked = len(_service().asked())
        bench.expect(
            asked == expected,
            did=f'wrote {{"remote_percent": {percent}}} into the switch and looked at {PAGES} product pages',
            expected=f"{expected} of them to ask the service",
            got=asked,
            why="Switched off has to be off, and the old code is deleted only when nobody asks it any more.",
            look=f"{SWITCH}: random.random() is below 1, random.randint(0, 100) has 101 results",
        )


@check("each-question-by-itself", task="switch", shop=False)
def _(bench: Bench) -> None:
    """Each question is decided by itself: with the switch at 50, one visitor at one page gets both sides."""
    shop = _shop(bench)
    (sku,) = _skus(bench, shop, 1)
    browser, ada = shop.visitor(), shop.customer("ada@example.com")
    form = {"email": ada.email, "password": ada.password}
    browser.ask("POST", "/sign-in", form=form, headers={"Origin": shop.url})
    _set(HALF)
    time.sleep(SETTLE_SECONDS)
    for who, visitor in (("a stranger", shop.visitor()), ("Ada", browser)):
        _service().behave("answer")
        for _ in range(QUESTIONS):
            visitor.ask("GET", f"/products/{sku}")
        asked = len(_service().asked())
        bench.expect(
            0 < asked < QUESTIONS,
            did=f'wrote {{"remote_percent": {HALF}}} into the switch and looked at one product page {QUESTIONS} times, '
            f"as {who}",
            expected="some of the questions at the service, and some not",
            got=f"{asked} of {QUESTIONS} at the service",
            why="When the visitor or the product decides, the same few people get every failure of the service.",
            look=f"{SWITCH}: draw for each question, and not once for each visitor or product",
        )
    _set(0)


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
    """A switch file that is half written, has no valid content or is missing breaks no page and changes no share."""
    for text in ('{"remote_per', "", "[1]", "{}", '{"remote_percent": "many"}', None):
        _expect_no_change(bench, text, was=100)
    _expect_no_change(bench, '{"remote_per', was=0)


@check("off-until-the-file-says-so", task="switch", shop=False, until="split-the-table")
def _(bench: Bench) -> None:
    """A monolith that starts without a valid switch file asks the service nothing, and its pages work."""
    shop = _shop(bench)
    (sku,) = _skus(bench, shop, 1)
    _service().behave("answer")
    status, asked = _alone(bench, shop, sku, SHOP_RECOMMENDATIONS_URL=_service().url), len(_service().asked())
    bench.expect(
        (status, asked) == (200, 0),
        did=f"started the monolith without a switch file, looked at a page and asked {MANY} questions",
        expected="200, and no question at the service",
        got=f"{status}, and {asked} questions at the service",
        why="A file that is not there yet must neither break the shop nor send anybody to the service.",
        look=f"{SWITCH}: the share before the file was read",
    )


@check("a-senseless-share-changes-nothing", task="switch", shop=False, load=True)
def _(bench: Bench) -> None:
    """Only a number from 0 to 100 is a share; everything else changes nothing."""
    for share, was in SENSELESS:
        _expect_no_change(bench, f'{{"remote_percent": {share}}}', was=was)


def _expect_no_change(bench: Bench, text: str | None, *, was: int) -> None:
    """Write the text into the switch file (None: remove it) while the share is `was`, and look at three pages."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 3)
    _set(was)
    deadline = time.monotonic() + SETTLE_SECONDS
    while not (right := _asks(shop, skus[0]) is (was == 100)) and time.monotonic() < deadline:
        time.sleep(0.05)
    bench.expect(
        right,
        did=f'wrote {{"remote_percent": {was}}} into the switch and looked at a product page',
        expected="a page that asks the service" if was else "a page that does not ask the service",
        got="the opposite",
        why="The switch has to work before it can be broken.",
        look=SWITCH,
    )
    try:
        if text is None:
            _switch().unlink()
        else:
            _switch().write_text(text, encoding="utf-8")
        time.sleep(READ_SECONDS)
        _service().behave("answer")
        answers = [shop.ask("GET", f"/products/{sku}") for sku in skus]
        asked = len(_service().asked())
    finally:
        _set(0)
    did = (
        f"removed the switch file at {was} %"
        if text is None
        else f"wrote {text!r} into the switch at {was} %"
    )
    bad = [answer for answer in answers if answer.status != 200]
    bench.expect(
        not bad,
        did=f"{did}: {answers[0].curl}",
        expected="200: the share stays what it was",
        got=bad[0] if bad else "",
        why="People edit this file in a hurry, so it will have mistakes at times.",
        look=SWITCH,
    )
    bench.expect(
        asked == (len(skus) if was else 0),
        did=f"{did}, and looked at {len(skus)} product pages",
        expected=f"the share to stay {was} %: {len(skus) if was else 0} of them ask the service",
        got=f"{asked} of them asked it",
        why="A mistake in the file must not move visitors from one side to the other.",
        look=f"{SWITCH}: which values are valid, and what happens with the others",
    )


def _asks(shop: Shop, sku: str) -> bool:
    _service().behave("answer")
    shop.ask("GET", f"/products/{sku}")
    return bool(_service().asked())


@check("the-gateway-asks-the-service", task="route", oracle=True)
def _(bench: Bench) -> None:
    """The gateway sends the API's requests to the service, past the monolith, and the answers are as before."""
    shop = bench.shop()
    for path in (
        "/api/products?page_size=3",
        "/api/products/NO-SUCH-SKU",
        "/api/products/NO-SUCH-SKU/reviews",
    ):
        theirs, mine = bench.oracle().ask("GET", path), shop.ask("GET", path)
        bench.expect(
            (mine.status, mine.json()) == (theirs.status, theirs.json()),
            expected=f"what the untouched monolith answers: {theirs}",
            got=mine,
            why="The monolith still owns the rest of /api/products; the service knows nothing of it.",
            look=f"{ROUTES}: the matcher for recommendations is too wide",
        )
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
    path = f"/api/products/{bench.some_sku()}"
    bench.same("GET", path, why="The monolith still owns the rest of /api/products.", look=ROUTES)


@check("the-short-way-has-its-limit", task="route", shop=True, load=True)
def _(bench: Bench) -> None:
    """When the service or the monolith hangs, the gateway gives up within five seconds."""
    shop, sku = bench.shop(), bench.some_sku()
    paths = (f"/api/products/{sku}/recommendations", "/api/categories")
    with (
        shop.paused("recommendations"),
        shop.paused("monolith"),
        ThreadPoolExecutor(len(paths)) as pool,
    ):
        answers = list(pool.map(lambda path: shop.try_ask("GET", path, timeout=3 * HUNG_SECONDS), paths))
    for answer in answers:
        a_little_late = HUNG_SECONDS <= answer.seconds < 2 * HUNG_SECONDS
        if answer.status and a_little_late and bench.busy() > 1.0:
            raise bench.inconclusive(
                f"the answer took {answer.seconds:.1f} s while other programs used {bench.busy():.1f} cores"
            )
        bench.expect(
            answer.status in (502, 503, 504) and answer.seconds < HUNG_SECONDS,
            did=f"paused the monolith and the service: {answer.curl}",
            expected=f"a 504 (or 502, 503) within {HUNG_SECONDS:g} s",
            got=f"{answer} after {answer.seconds:.1f} s",
            why="Each way that the gateway takes needs a time limit of its own.",
            look=f"{ROUTES}: the timeouts of both reverse_proxy",
        )


@check("the-switch-is-at-100", task="delete")
def _(bench: Bench) -> None:
    """Your switch.json says 100: every product page gets its recommendations from the service."""
    try:
        left = json.loads(bench.text("switch.json")).get("remote_percent")
    except (ValueError, AttributeError):
        left = "no number"
    bench.expect(
        left == 100,
        did="read switch.json",
        expected='{"remote_percent": 100}',
        got=left,
        why="With the old code deleted, the rest of the pages has no recommendations at all.",
        look="switch.json",
    )
    shop = bench.shop()
    before = _answered(shop, "recommendations")
    page = shop.ask("GET", f"/products/{bench.some_sku()}")
    after = _answered(shop, "recommendations")
    bench.expect(
        page.status == 200 and ">Bestsellers<" not in page.text and after == before + 1,
        expected="200, with recommendations from the service",
        got=f"{page.status}, {'bestsellers' if '>Bestsellers<' in page.text else 'no bestsellers'}, "
        f"{after - before:.0f} requests at the service",
        why="Now all pages depend on this way.",
        look=f"{SWITCH}, monolith/app.py: recommendations_url and switch_file of Neighbours",
    )


@check("zero-switches-it-off", task="delete", shop=False)
def _(bench: Bench) -> None:
    """A switch back to 0 means no recommendations: pages show bestsellers, and the service is not asked."""
    shop = _shop(bench)
    (sku,) = _skus(bench, shop, 1)
    _set(0)
    time.sleep(SWITCH_SECONDS)
    _service().behave("answer")
    page = shop.ask("GET", f"/products/{sku}")
    asked = len(_service().asked())
    bench.expect(
        page.status == 200 and ">Bestsellers<" in page.text and not asked,
        did=f"set the switch to 0: {page.curl}",
        expected="200 and a panel with bestsellers, and no request at the service",
        got=f"{page.status}, {'bestsellers' if '>Bestsellers<' in page.text else 'no bestsellers'}, "
        f"{asked} requests at the service",
        why="A part that does harm can be switched off, also after its old code is gone.",
        look=f"{SWITCH}: what stands for the old code raises RecommendationsUnavailable",
    )


@check("no-service-no-recommendations", task="delete", shop=False, until="split-the-table")
def _(bench: Bench) -> None:
    """Without an address of the service the monolith runs, and its pages show bestsellers."""
    shop = _shop(bench)
    (sku,) = _skus(bench, shop, 1)
    status = _alone(bench, shop, sku)
    bench.expect(
        status == 200,
        did="started the monolith without SHOP_RECOMMENDATIONS_URL and looked at a product page",
        expected="200 and a panel with bestsellers",
        got=status,
        why="Tests and tools run the monolith alone. The service is an option for it, not a need.",
        look="monolith/app.py: the recommender when recommendations_url is None",
    )


@check("the-monolith-no-longer-has-it", task="delete")
def _(bench: Bench) -> None:
    """The monolith has neither the files, the tables nor the route of recommendations; the feed is still there."""
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
    status = _direct(shop, "monolith", "/internal/events")[0]
    bench.expect(
        status == 401,
        did="asked the monolith itself, without a token: GET /internal/events",
        expected="401: the feed is still there",
        got=status,
        why="The service learns from it what is bought.",
        look="monolith/orders/__init__.py",
    )
    there = [f"monolith/recommendations/{name}.py" for name in OLD_FILES]
    there = [path for path in there if (bench.workspace / path).exists()]
    bench.expect(
        not there,
        did="looked into monolith/recommendations",
        expected="the old code to be deleted",
        got=", ".join(there),
        why="Code that nobody needs costs time, and somebody will change it by mistake.",
        look=", ".join(there),
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


def _alone(bench: Bench, shop: Shop, sku: str, **env: str) -> object:
    """Start the application on the shop's data, without a switch file; the status of a product page with bestsellers.

    After the page it asks MANY questions. Instead of a status, it may be a sentence that says what went wrong.
    """
    with TemporaryDirectory() as home:
        where = {"SHOP_HOME": home, "SHOP_DATABASE_URL": sqlite_url(shop.database("monolith"))}
        missing = {"SHOP_SWITCH_FILE": str(Path(home) / "switch.json"), "SKU": sku}
        ran = bench.python(ALONE, env={**where, **missing, "MANY": str(MANY), **env})
    if ran.status != 0 or not ran.out.strip():
        return (ran.err.strip().splitlines() or ["it ended without a word"])[-1]
    status, has_bestsellers = json.loads(ran.out.splitlines()[-1])
    return status if status != 200 or has_bestsellers else "200 without bestsellers"


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
        why="The checks choose their products from this list. A matcher that is too wide sends it to the service.",
        look=f"{ROUTES}: the matcher for recommendations; monolith/catalog",
    )
    return bench.random.sample(listed, count)
