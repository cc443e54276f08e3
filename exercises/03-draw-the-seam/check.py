"""03: recommendations are behind an interface, learn from a feed, and can fail alone.

Three experiments start a copy of the workspace with another `monolith/wsgi.py`, the file that loads the shop into its
server. One puts a fake recommender in, one records which module sends which statement to the database, and one disturbs
learning. These and the restart take seconds, so later exercises do not run them again; they compare the shop with the
oracle again.
"""

from __future__ import annotations

import ast
import json
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from weakref import WeakKeyDictionary, WeakSet

from exercises.checks.checking import Answer, Bench, Import, NotYet, Ran, Shop, Visitor, check
from microservices.launcher import sqlite_url

APPROVED = "4242424242424242"
BESIDE = 8
PANEL = '<section class="beside"'
TABLES = ("co_purchases", "popularity", "purchases", "feed_position")
LEARN_SECONDS, SETTLE_SECONDS, FEED_SECONDS = 15.0, 4.0, 15.0
PAUSE_SECONDS = 0.1
"""How long learning rests, when a check says so."""
TIMED_OUT = 124
"""The status of a program that took too long."""
TECHNICAL = ("chassis", "skus", "recommendations")
"""What recommendations may import from the shop: no module that stores products, carts or orders."""
EXEMPT = ("monolith/seed.py",)
"""Writes every table once, before the shop runs."""
PAGE, ROUTE = "monolith/storefront/routes.py", "monolith/recommendations/routes.py"
LOCAL, FEED, LEARNING, INTERFACE = (
    "monolith/recommendations/local.py",
    "monolith/orders/feed.py",
    "monolith/recommendations/learning.py",
    "monolith/recommendations/interface.py",
)

WITH_A_FAKE = """
import json, os

def load(target):
    from monolith.app import create_app
    from monolith.recommendations.interface import RecommendationsUnavailable

    class Fake:
        def suggest(self, sku, cart, customer_id, limit):
            with open(os.environ["FAKE_CALLS"], "a") as calls:
                calls.write(json.dumps([sku, list(cart), customer_id, limit]) + "\\n")
            if sku == os.environ["FAKE_REFUSES"]:
                raise RecommendationsUnavailable("The fake has no recommendations for this product.")
            items = os.environ["FAKE_ITEMS"].split(",")
            return {"sku": sku, "items": [{"sku": item, "score": 1.0} for item in items[:limit]]}

    return create_app(recommender=Fake())
"""
WITH_A_TRACE = """
import json, os, re, sys

HERE = os.getcwd() + os.sep
OWNERS = {table: "orders" for table in ("orders", "order_lines", "order_counter", "idempotency_keys")}
OWNERS |= {table: "recommendations" for table in ("co_purchases", "popularity", "purchases", "feed_position")}

def record(connection, cursor, statement, parameters, context, executemany):
    tables = {name.lower() for name in re.findall(r"(?:FROM|JOIN|INTO|UPDATE)\\\\s+[\\"`]?(\\\\w+)", statement, re.I)}
    frames, frame = [], sys._getframe()
    while frame:
        name = frame.f_code.co_filename
        if name.startswith(HERE + "monolith" + os.sep):
            frames.append((name.removeprefix(HERE).replace(os.sep, "/"), frame.f_lineno))
        frame = frame.f_back
    frames = [each for each in frames if each[0] not in ("monolith/wsgi.py", "monolith/chassis/database.py")]
    for table in sorted(tables & OWNERS.keys()):
        if not any(file.startswith(f"monolith/{OWNERS[table]}/") for file, _ in frames):
            with open(os.environ["TRACE"], "a") as trace:
                trace.write(json.dumps([table, OWNERS[table], *(frames or [["the shop", 0]])[0]]) + "\\n")

def load(target):
    from monolith.app import serving_app
    from sqlalchemy import Engine, event

    event.listen(Engine, "before_cursor_execute", record)
    return serving_app()
""".replace("\\\\", "\\")
WITH_FAULTS = """
import os, re, threading

VERB, TABLES = "INSERT INTO|INSERT OR \\w+ INTO|REPLACE INTO|UPDATE", "co_purchases|popularity|purchases|feed_position"
WRITES = re.compile(rf"(?:{VERB}) (?:{TABLES})\\b", re.I)
here = threading.local()
plan = {"fails_at": 1, "overtaken_at": None}

def note(what):
    with open(os.environ["FAULTS"], "a") as notes:
        notes.write(what + "\\n")

def learn_elsewhere(again):
    try:
        again()
    except Exception as error:
        note(f"kept out: {error}")

def load(target):
    import monolith.orders
    from sqlalchemy import Engine, event, exc

    real_feed = monolith.orders.feed

    def feed(db, after, limit):
        note("asked")
        found = real_feed(db, after, limit)
        here.events = len(found["events"])
        here.has_orders = here.events > 0
        if plan["overtaken_at"] == "feed":
            overtake()
        return found

    def overtake():
        if getattr(here, "again", None) and here.has_orders:
            other = threading.Thread(target=learn_elsewhere, args=(here.again,))
            other.start()
            other.join()
            note("overtaken")

    def disturb(connection, cursor, statement, parameters, context, executemany):
        words = " ".join(statement.split()).replace('"', "")
        if plan["overtaken_at"] == "begin" and words.upper().startswith("BEGIN"):
            overtake()
        if getattr(here, "again", None) and here.has_orders and WRITES.match(words):
            here.writes += 1
            if here.writes == plan["fails_at"] and not plan["overtaken_at"]:
                plan["fails_at"] += 1
                note("failed")
                raise exc.OperationalError(statement, {}, Exception("the disk is full, says the check"))

    monolith.orders.feed = feed
    event.listen(Engine, "before_cursor_execute", disturb)
    from monolith.app import serving_app
    from monolith.recommendations import learning

    real_catch_up = learning.catch_up

    def catch_up(*args, **options):
        here.again, here.writes, here.has_orders = lambda: real_catch_up(*args, **options), 0, False
        try:
            count = real_catch_up(*args, **options)
        finally:
            here.again = None
        if here.has_orders and not plan["overtaken_at"] and count != here.events:
            note(f"returned {count!r} for {here.events} orders")
        if here.has_orders:
            plan["overtaken_at"] = "begin" if plan["overtaken_at"] else "feed"
            note("learnt")
        return count

    learning.catch_up = catch_up
    return serving_app()
"""
"""Lets each statement that learning writes fail once. After that, another thread learns the orders that were read: once
when the feed has answered, and once when the transaction is about to begin."""
ASK_THE_FEED = """
import json
from monolith import orders
from monolith.app import create_app
from monolith.chassis.database import reading

def plain(told):
    if isinstance(told, list):
        return sorted(map(plain, told), key=str)
    return {name: plain(each) for name, each in told.items()} if isinstance(told, dict) else told

app = create_app()
told, after, wrong = [], 0, ""
with app.app_context(), reading() as db:
    while not wrong:
        events = list(orders.feed(db, after, 300)["events"])
        positions = [event["position"] for event in events]
        if not events:
            break
        if len(events) > 300:
            wrong = f"{len(events)} events after position {after}"
        elif positions != sorted(set(positions)):
            wrong = f"after position {after} the positions {positions[:5]}"
        elif positions[0] <= after:
            wrong = f"after position {after} the position {positions[0]} again"
        told += events
        after = positions[-1]
    one = list(orders.feed(db, 0, 1)["events"])
    for before, event in zip([{"position": 0}, *told], told[:30]):
        alone = list(orders.feed(db, before["position"], 1)["events"])
        if not wrong and plain(alone) != plain([event]):
            wrong = f"with limit 1 {json.dumps(alone)}, and with limit 300 {json.dumps(event)}"
print(json.dumps({"events": told, "one": len(one), "wrong": wrong}))
"""
ASK_THE_RECOMMENDER = """
import json, os
from sqlalchemy import Engine, event, exc
from monolith.app import create_app
from monolith.chassis.runtime import runtime
from monolith.recommendations import LocalRecommender
from monolith.recommendations.interface import RecommendationsUnavailable, recommender

now = {"statement": None, "connect": None, "connects": 0}
real_connect = Engine.connect

def connect(self):
    now["connects"] += 1
    if now["connect"]:
        raise now["connect"]
    return real_connect(self)

def execute(*_):
    if now["statement"]:
        raise now["statement"]

app = create_app()
Engine.connect = connect
event.listen(Engine, "before_cursor_execute", execute)
cause = Exception("says the check")
crossed, alone = [], ""
try:
    LocalRecommender(runtime(app).database).suggest(os.environ["SKU"], [], None, 8)
except Exception as seen:
    alone = f"{type(seen).__name__}: {str(seen).partition(chr(10))[0]}"
now["connects"] = 0
with app.app_context():
    recommender().suggest(os.environ["SKU"], [], None, 8)
    connects = now["connects"]
    for place, error in (
        ("statement", exc.OperationalError("SELECT", {}, cause)),
        ("statement", exc.ProgrammingError("SELECT", {}, cause)),
        ("statement", exc.DatabaseError("SELECT", {}, cause)),
        ("connect", exc.OperationalError("connect", {}, cause)),
        ("connect", exc.TimeoutError("no free connection, says the check")),
    ):
        now[place] = error
        try:
            recommender().suggest(os.environ["SKU"], [], None, 8)
            crossed.append([place, type(error).__name__, "an answer"])
        except RecommendationsUnavailable:
            pass
        except Exception as seen:
            crossed.append([place, type(error).__name__, type(seen).__name__])
        now[place] = None
print(json.dumps({"connects": connects, "crossed": crossed, "alone": alone}))
"""


@check("answers-as-before", task="interface", oracle=True)
def _(bench: Bench) -> None:
    """Pages and API answer what they answered before."""
    why = "The seam is a change of the code. Visitors must not notice it."
    one, two = _skus(bench, 2)
    for path in (
        f"/api/products/{one}/recommendations",
        f"/api/products/{one}/recommendations?limit=20&cart={two}",
        "/api/products/NO-SUCH-SKU/recommendations?limit=3",
        f"/api/products/{quote('not a sku')}/recommendations",
        f"/api/products/{one}/recommendations?limit=21",
        f"/products/{one}",
        "/products/NO-SUCH-SKU",
    ):
        bench.same("GET", path, why=why, look=PAGE if path.startswith("/products") else ROUTE)
    theirs, mine = bench.oracle().customer("ada@example.com"), bench.shop().customer("ada@example.com")
    path = f"/api/products/{one}/recommendations"
    wanted, got = theirs.ask("GET", path).json(), mine.ask("GET", path)
    bench.expect(
        got.json() == wanted,
        expected=f"the recommendations for Ada's history: {json.dumps(wanted)[:300]}",
        got=got,
        why="Recommendations are personal, so the customer's id must cross the seam as well.",
        look=ROUTE,
    )


@check("the-interface-is-as-given", task="interface", shop=False, until="front-door")
def _(bench: Bench) -> None:
    """The interface is the one that you were given."""
    given = Path(__file__).parent / "start" / INTERFACE
    bench.expect(
        bench.text(INTERFACE).split() == given.read_text(encoding="utf-8").split(),
        did=f"compared {INTERFACE} with the file of the exercise",
        expected="the same text",
        got="another text",
        why="Both sides keep to the interface. In two steps a service stands behind it that somebody else wrote.",
        look=f"{INTERFACE}; `exercises reset {INTERFACE}` brings it back",
    )


@check("a-call-opens-its-own-connection", task="interface", until="front-door")
def _(bench: Bench) -> None:
    """Each call of the recommender opens its own connection and does not keep one."""
    bench.expect(
        _asked_recommender(bench)["connects"],
        did="made the application, called recommender().suggest(...), and counted the connections that it opened",
        expected="a connection that is opened in suggest",
        got="no connection: it uses one that was opened before, such as in __init__",
        why="A connection belongs to one thread at a time. One that stays open mixes the requests of all threads and "
        "keeps its locks.",
        look=f"{LOCAL}: keep the Database, and open its reading() inside suggest",
    )
    alone = _asked_recommender(bench)["alone"]
    bench.expect(
        not alone,
        did="made LocalRecommender(database), and called suggest(...) without the application and without a request",
        expected="an answer",
        got=alone,
        why="All that it needs is the Database that it was made with. The reading() of chassis/database.py needs the "
        "application that handles a request, and a thread of its own has none.",
        look=f"{LOCAL}: the reading() of the Database",
    )


@check("a-fake-can-be-injected", task="interface", until="front-door")
def _(bench: Bench) -> None:
    """With a fake recommender put in, pages and API show what the fake suggests, and a page asks it once."""
    seen = _experiments(bench, "a-fake-can-be-injected").fake.result()
    expected = f"the three products that the fake suggests: {', '.join(seen.suggested)}"
    why = "If a fake cannot replace the recommender today, a service cannot replace it later."
    bench.expect(
        _items(seen.api) == seen.suggested,
        did=seen.api.curl,
        expected=f"from the API {expected}",
        got=seen.api,
        why=why,
        look=ROUTE,
    )
    nobody = [seen.wanted[0], [], None, BESIDE]
    bench.expect(
        seen.asked == [nobody],
        did=f"asked without signing in: {seen.api.curl}",
        expected=f"one call {_call(nobody)}",
        got="; ".join(map(_call, seen.asked)) or "no call",
        why="The interface says what each argument is: for a visitor who is not signed in the customer is None.",
        look=ROUTE,
    )
    panel = seen.page.text.partition(PANEL)[2]
    bench.expect(
        seen.page.status == 200 and all(f"/products/{sku}" in panel for sku in seen.suggested),
        did=seen.page.curl,
        expected=f"on the page {expected}",
        got=f"{seen.page.status}, and in the panel: {_shown_in(panel) or 'nothing'}",
        why=why,
        look=PAGE,
    )
    bench.expect(
        seen.calls == [seen.wanted],
        did=f"asked as a customer with {seen.wanted[1][0]} in the cart: {seen.page.curl}",
        expected=f"one call {_call(seen.wanted)}",
        got="; ".join(map(_call, seen.calls)) or "no call",
        why="Each call over this seam will soon be a request over the network.",
        look=PAGE,
    )
    bench.note(f"1 call over the seam for a page; {_crossing_imports(bench)}")


@check("only-the-panel-degrades", task="degrade", oracle=True, until="cut-over")
def _(bench: Bench) -> None:
    """Without its tables, recommendations are missing in one panel of one page, and nothing else changes."""
    shop, path = bench.shop(), f"/products/{bench.some_sku()}"
    with _withheld(shop):
        _expect_degraded(bench, path, did="took the tables of recommendations away, and asked")
        for other in ("/", "/search?q=a", "/api/products?page_size=5"):
            bench.same("GET", other, why="Only one panel needs recommendations.", look="monolith/storefront")
        _expect_sale(bench)
        api = shop.ask("GET", f"/api{path}/recommendations")
        bench.expect(
            api.status == 503 and "problem+json" in api.headers.get("Content-Type", ""),
            expected="503 and a problem, as the contract says for a part that is unavailable",
            got=api,
            why="A program that asks for recommendations must learn that they are unavailable.",
            look=LOCAL,
        )
    bench.wait_until(
        lambda: "Goes well with" in shop.ask("GET", path).text, 5.0, "recommendations on the page again"
    )


@check("the-fake-may-fail", task="degrade", until="front-door")
def _(bench: Bench) -> None:
    """When the recommender raises RecommendationsUnavailable, the page shows bestsellers under their own heading."""
    seen = _experiments(bench, "the-fake-may-fail").fake.result()
    panel = seen.without.text.partition(PANEL)[2]
    bench.expect(
        seen.without.status == 200 and ">Bestsellers<" in panel,
        did=f"let the recommender raise RecommendationsUnavailable: {seen.without.curl}",
        expected="200, and a panel with the heading Bestsellers",
        got=f"{seen.without.status}, and in the panel: {_shown_in(panel) or 'nothing'}",
        why="Later a service will be unavailable, and that is not a database error.",
        look=PAGE,
    )
    bench.expect(
        seen.refused.status == 503 and "problem+json" in seen.refused.headers.get("Content-Type", ""),
        did=f"let the recommender raise RecommendationsUnavailable: {seen.refused.curl}",
        expected="503 and a problem, which RecommendationsUnavailable becomes by itself",
        got=seen.refused,
        why="A program that asks for recommendations must learn that they are unavailable.",
        look=ROUTE,
    )
    bench.expect(
        "Goes well with" in seen.after.text,
        did=seen.after.curl,
        expected="the next page with its recommendations",
        got=f"{seen.after.status}, and in the panel: {_shown_in(seen.after.text.partition(PANEL)[2])}",
        why="One failure may change one page, and not the pages after it.",
        look=PAGE,
    )


@check("every-database-error-is-one-error", task="degrade", until="front-door")
def _(bench: Bench) -> None:
    """Whatever the database does, callers of the interface see RecommendationsUnavailable."""
    for place, error, seen in _asked_recommender(bench)["crossed"]:
        raise bench.not_yet(
            did=f"called suggest, and let the {place} fail with SQLAlchemy's {error}",
            expected="RecommendationsUnavailable",
            got=seen,
            why="Missing tables are one failure of many: a full disk, a lock, no free connection. A caller can "
            "handle one error, and not SQLAlchemy's.",
            look=f"{LOCAL}: which class has all of the database's errors below it, and is reading() inside the try?",
        )


@check("the-feed-tells-what-was-ordered", task="feed", oracle=True)
def _(bench: Bench) -> None:
    """The orders' feed has each confirmed order once, in order, with the fields that others need."""
    _bad_feeds.discard(bench)
    try:
        _expect_feed(bench)
    except NotYet:
        _bad_feeds.add(bench)
        raise


@check("learns-as-before", task="feed", oracle=True, seconds=25, until="front-door")
def _(bench: Bench) -> None:
    """New orders soon change the recommendations, and each order counts once, also after a restart."""
    _expect_good_feed_first(bench)
    skus = _skus(bench, 2)
    paths = [f"/api/products/{sku}/recommendations?limit=20" for sku in skus]
    for did in ("bought", "started the shop again, and bought"):
        if did != "bought":
            bench.shop().restart()
        before = [bench.oracle().ask("GET", path).json() for path in paths]
        for _ in range(3):
            _buy_in_both(bench, skus)
        _expect_same_counts(bench, paths, before, f"{did} {' and '.join(skus)} together three times")


@check("each-order-counts-once", task="feed", shop=False, seconds=30, until="front-door")
def _(bench: Bench) -> None:
    """An order counts once, also when learning fails halfway or another process learns it at the same time."""
    _expect_good_feed_first(bench)
    skus = sorted(_skus(bench, 2))
    bought = f"bought {' and '.join(skus)} together"
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes"
        env = {"FAULTS": str(notes), "SHOP_FEED_SECONDS": f"{PAUSE_SECONDS:g}"}
        with bench.boot(bench.copy({"monolith/wsgi.py": WITH_FAULTS}), env=env) as shop:
            started = time.monotonic()
            _expect_counted_once(
                bench,
                shop,
                skus,
                notes,
                did=f"{bought}, and let each statement that learning writes fail once",
                why="When a process ends between two transactions, an order counts twice or never.",
                look=f"{LEARNING}: the counts and the position belong in one `writing()` block",
            )
            _expect_counted_once(
                bench,
                shop,
                skus,
                notes,
                did=f"{bought}, and let another process learn the order after catch_up had asked the feed",
                why="Two processes may serve this shop. Both ask the feed, and only one may count the order.",
                look=f"{LEARNING}: read the position again inside the transaction, and leave out what it covers",
            )
            _expect_counted_once(
                bench,
                shop,
                skus,
                notes,
                did=f"{bought}, and let another process learn the order just before catch_up's transaction began",
                why="What is read before the transaction begins can be old when it begins.",
                look=f"{LEARNING}: the second look at the position belongs inside the `writing()` block",
            )
            _expect_one_position(bench, shop, did=f"{bought}, and looked into the table feed_position")
            noted, seconds = notes.read_text(encoding="utf-8").splitlines(), time.monotonic() - started
    returned = [line for line in noted if line.startswith("returned")]
    bench.expect(
        not returned,
        did=f"{bought}, and looked at what catch_up returned",
        expected="the number of orders that it has read from the feed",
        got="".join(returned[:1]),
        why="start_learning asks again at once while there is more to read, so that it soon knows what it has missed.",
        look=f"{LEARNING}: what catch_up returns",
    )
    asked = noted.count("asked")
    bench.expect(
        asked < 30 + 3 * seconds / PAUSE_SECONDS,
        did=f"{bought}, and counted how often learning asked the feed in {seconds:.0f} s",
        expected=f"about {seconds / PAUSE_SECONDS:.0f} times: every {PAUSE_SECONDS:g} s, as SHOP_FEED_SECONDS says",
        got=f"{asked} times",
        why="Learning that never rests takes the CPU that the shop's visitors need.",
        look=f"{LEARNING}: start_learning goes on at once only when catch_up has read as many orders as it may",
    )
    bench.expect(
        "overtaken" in noted,
        did=f"{bought}, and looked who asked the feed",
        expected="catch_up in learning.py asks orders.feed",
        got="learning without catch_up, or catch_up without orders.feed",
        why="Learning must read what orders publishes and nothing else.",
        look=f"{LEARNING}: catch_up",
    )


@check("nobody-reads-foreign-tables", task="feed", until="front-door")
def _(bench: Bench) -> None:
    """Only orders uses the orders' tables, and only recommendations uses those of recommendations."""
    for table, owner, file, line in _experiments(bench, "nobody-reads-foreign-tables").trace.result():
        raise bench.not_yet(
            did="looked at a page and bought, and recorded which module sends which statement",
            expected=f"the table {table} read and written in monolith/{owner} only",
            got=f"{file}, line {line}, sends a statement about {table}",
            why=f"A module that uses the tables of {owner} breaks when they change, and cannot move away from them.",
            look=f"{file}, line {line}",
        )


@check("imports-go-through-init", task="rule", shop=False)
def _(bench: Bench) -> None:
    """Recommendations imports only technical modules, and others import only what its __init__ exports."""
    package = "monolith.recommendations"
    _, inner = _split(bench.imports("monolith/recommendations"))
    for each in inner:
        part = each.module.split(".")[1]
        exported = part == "orders" and not _is_inside(bench, each.module)
        bench.expect(
            part in TECHNICAL or exported,
            did="read the imports of monolith/recommendations",
            expected="only technical modules, and from orders at most what its __init__ exports",
            got=f"{each.file.as_posix()}, line {each.line}, imports {each.module}",
            why="What recommendations imports would have to move out with it.",
            look=f"{each.file.as_posix()}, line {each.line}",
        )
    outer, _ = _split(bench.imports("monolith"))
    for each in outer:
        bench.expect(
            not (each.module.startswith(f"{package}.") and _is_inside(bench, each.module)),
            did="read the imports of the rest of the monolith",
            expected="only what monolith/recommendations/__init__.py exports",
            got=f"{each.file.as_posix()}, line {each.line}, imports {each.module}",
            why="A module that imports an inner file breaks when that file moves or changes.",
            look=f"{each.file.as_posix()}, line {each.line}",
        )


# ---- two experiments with copies of the workspace: they run at the same time, and once for all checks


@dataclass(frozen=True)
class Seen:
    """A shop with a fake recommender: the calls of the fake, and the shop's answers."""

    suggested: list[str]
    api: Answer
    asked: list[list[Any]]
    """The calls that the API made for a visitor who is not signed in."""
    page: Answer
    wanted: list[Any]
    """The call that the page should make."""
    calls: list[list[Any]]
    """The calls that it made."""
    without: Answer
    """The page of a product for which the fake raises RecommendationsUnavailable."""
    after: Answer
    """A page that was asked for after that."""
    refused: Answer
    """The API's answer for the product for which the fake raises."""


@dataclass
class Experiments:
    """Both experiments, running or done, and the ids of the checks that have used them."""

    fake: Future[Seen]
    trace: Future[list[list[Any]]]
    seen: set[str] = field(default_factory=set)


_known_experiments: WeakKeyDictionary[Bench, Experiments] = WeakKeyDictionary()


def _experiments(bench: Bench, check_id: str) -> Experiments:
    """The experiments. A check that is tried again gets new ones."""
    found = _known_experiments.get(bench)
    if found is None or check_id in found.seen:
        _expect_parameter(bench)
        shown, refused, *suggested = _skus(bench, 7)
        pool = ThreadPoolExecutor(2)
        found = Experiments(
            pool.submit(_with_a_fake, bench, shown, refused, suggested[:3]),
            pool.submit(_with_a_trace, bench, suggested[3:]),
        )
        pool.shutdown(wait=False)  # each check waits for what it needs
        _known_experiments[bench] = found
    found.seen.add(check_id)
    return found


def _with_a_fake(bench: Bench, shown: str, refused: str, suggested: list[str]) -> Seen:
    with tempfile.TemporaryDirectory() as folder:
        calls = Path(folder) / "calls"
        env = {"FAKE_ITEMS": ",".join(suggested), "FAKE_REFUSES": refused, "FAKE_CALLS": str(calls)}
        with bench.boot(bench.copy({"monolith/wsgi.py": WITH_A_FAKE}), env=env) as shop:
            customer = _in_browser(shop)
            _put_in_cart(customer, refused)
            api = shop.ask("GET", f"/api/products/{shown}/recommendations")
            asked = _read_calls(calls)
            calls.write_text("", encoding="utf-8")
            page = customer.ask("GET", f"/products/{shown}")
            return Seen(
                suggested,
                api,
                asked,
                page,
                [shown, [refused], customer.id, BESIDE],
                _read_calls(calls),
                shop.ask("GET", f"/products/{refused}"),
                shop.ask("GET", f"/products/{shown}"),
                shop.ask("GET", f"/api/products/{refused}/recommendations"),
            )


def _read_calls(file: Path) -> list[list[Any]]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [json.loads(line) for line in lines]


def _with_a_trace(bench: Bench, skus: list[str]) -> list[list[Any]]:
    """The statements on another module's tables: table, owner, file and line."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        env = {"TRACE": str(trace), "SHOP_FEED_SECONDS": f"{PAUSE_SECONDS:g}"}
        with bench.boot(bench.copy({"monolith/wsgi.py": WITH_A_TRACE}), env=env) as shop:
            path = f"/api/products/{skus[0]}/recommendations?limit=20"
            before = shop.ask("GET", path).text
            _buy(shop.customer(), skus)
            shop.ask("GET", f"/products/{skus[0]}")
            deadline = time.monotonic() + LEARN_SECONDS
            # Learning gets the time to read the orders. If it learns nothing, another check fails.
            while shop.ask("GET", path).text == before and time.monotonic() < deadline:
                time.sleep(0.05)
        lines = trace.read_text(encoding="utf-8").splitlines() if trace.exists() else []
    return [json.loads(line) for line in lines]


def _expect_parameter(bench: Bench) -> None:
    functions = [
        node for node in ast.walk(bench.tree("monolith/app.py")) if isinstance(node, ast.FunctionDef)
    ]
    names = {
        argument.arg
        for function in functions
        if function.name == "create_app"
        for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    }
    bench.expect(
        "recommender" in names,
        did="read create_app in monolith/app.py",
        expected="create_app(config=None, recommender=None)",
        got=f"create_app({', '.join(sorted(names))})",
        why="create_app puts the application together, so it is the place to choose the recommender.",
        look="monolith/app.py",
    )


@contextmanager
def _withheld(shop: Shop) -> Iterator[None]:
    """The tables of recommendations are missing while the block runs."""
    with closing(sqlite3.connect(shop.database("monolith"), timeout=10, isolation_level=None)) as db:
        try:
            for table in TABLES:
                db.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
        except sqlite3.OperationalError as error:
            raise NotYet(
                "took the tables of recommendations away",
                "tables that no connection holds",
                f"{error}: your shop keeps a connection open",
                "A connection that stays open keeps its locks, and then nobody can change a table.",
                f"{LOCAL}: open reading() inside suggest",
            ) from error
        try:
            yield
        finally:
            for table in TABLES:
                db.execute(f"ALTER TABLE {table}_away RENAME TO {table}")


def _expect_degraded(bench: Bench, path: str, did: str) -> None:
    shop = bench.shop()
    page, theirs = shop.ask("GET", path), bench.oracle().ask("GET", path)
    rest, _, panel = page.text.partition(PANEL)
    bench.expect(
        page.status == 200 and rest == theirs.text.partition(PANEL)[0],
        did=f"{did}: {page.curl}",
        expected="200, and everything but the panel as on the page of the untouched monolith",
        got=page,
        why="A shop without recommendations still sells. Without product pages it does not.",
        look=PAGE,
    )
    best = [sku for sku in _items(shop.ask("GET", f"/api/products?page_size={BESIDE}")) if sku not in path]
    bench.expect(
        ">Bestsellers<" in panel and all(f"/products/{sku}" in panel for sku in best),
        did=f"{did}: {page.curl}",
        expected=f"in the panel the heading Bestsellers and {', '.join(best)}",
        got=_shown_in(panel) or "no panel",
        why="An empty box looks broken. Bestsellers do not depend on recommendations.",
        look=f"{PAGE}; the template has a case for degraded",
    )


def _expect_sale(bench: Bench) -> None:
    """Buy in both shops, so that their data stay the same."""
    customers = (bench.oracle().customer(), bench.shop().customer())
    sku = bench.some_sku()
    for customer in customers:
        _put_in_cart(customer, sku)
        sold = _check_out(customer, "withheld-0001")
    bench.expect(
        sold.status == 201,
        did=sold.curl,
        expected="201: the order is placed",
        got=sold,
        why="Checkout does not need recommendations.",
        look="monolith/orders/checkout.py",
    )


# ---- the recommender and the feed, asked in a process of their own

_answers: WeakKeyDictionary[Bench, dict[str, Any]] = WeakKeyDictionary()
_bad_feeds: WeakSet[Bench] = WeakSet()
"""Those whose feed was found wrong: learning from it would only take time to fail."""


def _asked_recommender(bench: Bench) -> dict[str, Any]:
    """What the recommender did with its connections, and which errors crossed the interface."""
    if bench not in _answers:
        sku = bench.some_sku()
        ran = _in_the_shop(bench, ASK_THE_RECOMMENDER, bench.shop().database("monolith"), SKU=sku)
        bench.expect(
            ran.status == 0,
            did=f"made the application and called recommender().suggest({sku!r}, [], None, 8)",
            expected="an answer",
            got=_last_line(ran.err),
            why="The application chooses the recommender, and callers ask it without a request.",
            look=f"{LOCAL}, and create_app in monolith/app.py",
        )
        _answers[bench] = json.loads(ran.out.splitlines()[-1])
    return _answers[bench]


def _in_the_shop(bench: Bench, code: str, database: Path, **env: str) -> Ran:
    """Run code in the workspace, on a database."""
    with tempfile.TemporaryDirectory() as home:
        where = {"SHOP_HOME": home, "SHOP_DATABASE_URL": sqlite_url(database)}
        return bench.python(code, env={**where, **env}, timeout=FEED_SECONDS)


def _expect_good_feed_first(bench: Bench) -> None:
    bench.expect(
        bench not in _bad_feeds,
        did="looked at the feed first",
        expected="a feed that passes the check the-feed-tells-what-was-ordered",
        got="the feed that failed there",
        why="Learning cannot be right before the feed is.",
        look=FEED,
    )


def _expect_feed(bench: Bench) -> None:
    bought = [_buy_in_both(bench, _skus(bench, count)) for count in (1, 3, 2)]
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "copy.sqlite3"
        numbers = _copy_with_an_unconfirmed_order(bench, database)
        ran = _in_the_shop(bench, ASK_THE_FEED, database)
    did = "called orders.feed(db, after, 300), first with after = 0, then each time with the last position"
    bench.expect(
        ran.status == 0,
        did=did,
        expected='{"events": [{"position": ..., "type": "order-confirmed", "data": {...}}, ...]}',
        got=f"no end after {FEED_SECONDS:g} s" if ran.status == TIMED_OUT else _last_line(ran.err),
        why="Others learn about orders only from this feed; in two steps they read it over HTTP.",
        look=f"{FEED}, and `feed` in monolith/orders/__init__.py",
    )
    told = json.loads(ran.out.splitlines()[-1])
    bench.expect(
        not told["wrong"] and told["one"] == 1,
        did=did,
        expected="what follows the position, in growing positions, each once and whole, and never more events than the "
        "limit",
        got=told["wrong"] or f"{told['one']} events with limit 1",
        why="A reader remembers one position. It loses an event that comes too late with a lower position, and "
        "counts a repeated event twice.",
        look=FEED,
    )
    positions = [event["position"] for event in told["events"]]
    odd = sorted(set(positions) ^ set(numbers))
    bench.expect(
        not odd,
        did=f"set the status of one order to another one than confirmed, and {did}",
        expected=f"the {len(numbers)} confirmed orders",
        got=f"{len(positions)} events; the difference is the order {odd[:1]}",
        why="An order that is not confirmed is no sale. Orders decides what confirmed means, so it leaves others out.",
        look=f"{FEED}: the status of an order",
    )
    newest = told["events"][-len(bought) :]
    for event, wanted in zip(newest, bought, strict=True):
        wanted["number"] = event["position"]
        bench.expect(
            _known(event.get("type"), event.get("data")) == wanted,
            did=f"bought {len(bought)} times, and {did}",
            expected=f"among the newest: {json.dumps(wanted)}",
            got=json.dumps(event),
            why="The fields of an event are a contract. The service of exercise 05 exists already and reads these.",
            look=f"{FEED}, and the README: the event",
        )


def _copy_with_an_unconfirmed_order(bench: Bench, copy: Path) -> list[int]:
    """Copy the shop's database, and let one order not be confirmed; returns the numbers of the others."""
    with (
        closing(sqlite3.connect(bench.shop().database("monolith"))) as db,
        closing(sqlite3.connect(copy, isolation_level=None)) as other,
    ):
        db.backup(other)
        numbers = [number for (number,) in other.execute("SELECT number FROM orders ORDER BY number")]
        odd = bench.random.choice(numbers[:-BESIDE])
        other.execute("UPDATE orders SET status = 'cancelled' WHERE number = ?", (odd,))
    return [number for number in numbers if number != odd]


def _expect_counted_once(
    bench: Bench, shop: Shop, skus: list[str], notes: Path, *, did: str, why: str, look: str
) -> None:
    """Buy; when learning says that it has learnt, each product and the pair have one order more."""

    def times_learnt() -> int:
        return notes.read_text(encoding="utf-8").count("learnt") if notes.exists() else 0

    earlier, before = times_learnt(), _counts(shop, skus)
    _buy(shop.customer(), skus)
    deadline = time.monotonic() + LEARN_SECONDS
    while times_learnt() == earlier and time.monotonic() < deadline:
        time.sleep(0.05)
    after = _counts(shop, skus)
    bench.expect(
        after == {what: number + 1 for what, number in before.items()},
        did=did,
        expected="one order more for each of " + ", ".join(before),
        got=", ".join(f"{what}: {after[what] - number} more" for what, number in before.items()),
        why=why,
        look=look,
    )


def _expect_one_position(bench: Bench, shop: Shop, *, did: str) -> None:
    with closing(sqlite3.connect(shop.database("monolith"), timeout=10)) as db:
        rows = db.execute("SELECT id, position FROM feed_position").fetchall()
    bench.expect(
        len(rows) == 1,
        did=did,
        expected="one row: the position",
        got=f"{len(rows)} rows of id and position: {rows[:3]}",
        why="Learning asks for the position and takes the first row that it gets, which may be any of them.",
        look=f"{LEARNING}: each position is stored with the same id",
    )


def _counts(shop: Shop, skus: list[str]) -> dict[str, int]:
    """Orders by product, and by pair, as recommendations has counted them."""
    with closing(sqlite3.connect(shop.database("monolith"), timeout=10)) as db:
        popularity = "SELECT COALESCE(SUM(orders), 0) FROM popularity WHERE sku = ?"
        pairs = "SELECT COALESCE(SUM(orders), 0) FROM co_purchases WHERE sku = ? AND other = ?"
        found = {sku: db.execute(popularity, (sku,)).fetchone()[0] for sku in skus}
        return found | {f"{' with '.join(skus)}": db.execute(pairs, skus).fetchone()[0]}


# ---- buying, in both shops so that their data stay the same


def _buy_in_both(bench: Bench, skus: list[str]) -> dict[str, Any]:
    """Buy one of each in both shops; returns what the feed should say about the order in the learner's shop."""
    _buy(bench.oracle().customer(), skus)
    customer = bench.shop().customer()
    order = _buy(customer, skus)
    listed = {item["sku"]: item for item in _listed(bench.shop(), skus)}
    return {
        "order_id": order["id"],
        "customer_id": customer.id,
        "at": order.get("created_at"),
        "items": [{"sku": sku, "quantity": 1, "category": listed[sku]["category"]} for sku in sorted(skus)],
    }


def _buy(customer: Visitor, skus: list[str]) -> dict[str, Any]:
    for sku in skus:
        _put_in_cart(customer, sku)
    number = len(_items(customer.ask("GET", "/api/orders"), "id"))
    found = _check_out(customer, f"key-{number:08}").json()
    return found if isinstance(found, dict) and "id" in found else {"id": "no order"}


def _put_in_cart(customer: Visitor, sku: str) -> None:
    customer.ask("PUT", f"/api/cart/items/{sku}", json={"quantity": 1})


def _check_out(customer: Visitor, key: str) -> Answer:
    return customer.ask(
        "POST", "/api/orders", json={"card_number": APPROVED}, headers={"Idempotency-Key": key}
    )


def _expect_same_counts(bench: Bench, paths: list[str], before: list[Any], did: str) -> None:
    """The learner's shop soon gives the same scores as the oracle after it has learnt.

    Both learn twice a second. When the oracle has learnt and neither shop's answers have changed for SETTLE_SECONDS,
    waiting longer does not help.
    """
    mine = [bench.shop().ask("GET", path) for path in paths]
    wanted: list[Any] = []
    changed = time.monotonic()

    def is_over() -> bool:
        nonlocal mine, wanted, changed
        latest = [bench.oracle().ask("GET", path).json() for path in paths]
        answers = [bench.shop().ask("GET", path) for path in paths]
        if latest != wanted or _bodies(answers) != _bodies(mine):
            changed = time.monotonic()
        mine, wanted = answers, latest
        return wanted != before and (_bodies(mine) == wanted or time.monotonic() - changed > SETTLE_SECONDS)

    with suppress(NotYet):
        bench.wait_until(is_over, LEARN_SECONDS, "the same scores as in the untouched monolith")
    bench.expect(
        _bodies(mine) == wanted != before,
        did=f"{did}, here and in the untouched monolith: {mine[0].curl}",
        expected=json.dumps(wanted[0])[:300],
        got=mine[0],
        why="An order that counts twice, or not at all, makes all later recommendations wrong.",
        look=f"{LEARNING}: the position and the counts belong in one transaction",
    )


def _bodies(answers: list[Answer]) -> list[Any]:
    return [answer.json() for answer in answers]


# ---- reading


def _skus(bench: Bench, count: int) -> list[str]:
    """`count` different products, chosen at random."""
    listed = _items(bench.shop().ask("GET", "/api/products?page_size=100"))
    bench.expect(
        len(listed) >= count,
        expected=f"a list of at least {count} products",
        got=f"{len(listed)} products",
        why="The other checks choose their products from this list.",
        look="monolith/catalog",
    )
    return bench.random.sample(listed, count)


def _listed(shop: Shop, skus: list[str]) -> list[dict[str, Any]]:
    body = shop.ask("GET", f"/api/products?sku={','.join(skus)}").json()
    return list(body["items"])


def _items(answer: Answer, key: str = "sku") -> list[str]:
    body = answer.json()
    items = body.get("items") if isinstance(body, dict) else None
    return [str(item.get(key)) for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _in_browser(shop: Shop) -> Visitor:
    """A new customer, signed in by token and by the pages' cookie."""
    customer = shop.customer()
    form = {"email": customer.email, "password": customer.password, "next": "/"}
    customer.ask("POST", "/sign-in", form=form, headers={"Origin": shop.url})
    return customer


def _linked_skus(panel: str) -> list[str]:
    found = (part.partition('"')[0] for part in panel.split('href="/products/')[1:])
    return list(dict.fromkeys(found))


def _shown_in(html: str) -> str:
    """The heading and the products of a panel, as text."""
    heading = html.partition("</h2>")[0].rpartition(">")[2].strip()
    return " ".join(part for part in (heading, ", ".join(_linked_skus(html))) if part)


def _known(kind: object, data: object) -> dict[str, Any]:
    """The fields of an event that are checked; it may have more."""
    if kind != "order-confirmed" or not isinstance(data, dict) or not isinstance(data.get("items"), list):
        return {}
    items = [{key: item.get(key) for key in ("sku", "quantity", "category")} for item in data["items"]]
    return {
        **{key: data.get(key) for key in ("order_id", "number", "customer_id", "at")},
        "items": sorted(items, key=lambda item: str(item["sku"])),
    }


def _call(arguments: list[Any]) -> str:
    return f"suggest({', '.join(map(repr, arguments))})"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"


def _split(imports: list[Import]) -> tuple[list[Import], list[Import]]:
    """Imports of the monolith's modules: those in files outside of recommendations, and those inside."""
    ours = [each for each in imports if each.module.startswith("monolith.")]
    inside = [each for each in ours if each.file.as_posix().startswith("monolith/recommendations/")]
    outside = [each for each in ours if each not in inside and each.file.as_posix() not in EXEMPT]
    return outside, inside


def _is_inside(bench: Bench, module: str) -> bool:
    """Whether the import reaches a file inside a package, and not a name that its __init__ exports."""
    parts = module.split(".")
    if len(parts) < 3 or not bench.workspace.joinpath(*parts[:3]).with_suffix(".py").exists():
        return False
    offered = {
        alias.asname or alias.name
        for node in ast.walk(bench.tree(f"{'/'.join(parts[:2])}/__init__.py"))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return len(parts) > 3 or parts[2] not in offered


def _crossing_imports(bench: Bench) -> str:
    outside, inside = _split(bench.imports("monolith"))
    out = [each for each in inside if each.module.split(".")[1] not in TECHNICAL]
    into = [each for each in outside if each.module.startswith("monolith.recommendations")]
    return f"{len(out)} imports lead out of it, {len(into)} into it"
