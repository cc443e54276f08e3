"""10: the catalog has a database of its own, and the rest of the shop asks it, once for each page."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from exercises.checks.checking import Answer, Bench, CheckError, Shop, Visitor, check
from exercises.checks.locking import longest_lock

SERVICE, TABLES = "catalog", ("products", "categories")
CLIENT, CART, CHECKOUT = (
    "monolith/catalog/client.py",
    "monolith/cart/service.py",
    "monolith/orders/checkout.py",
)
PAGES, ROUTES, TOPOLOGY = "monolith/storefront/routes.py", "Caddyfile", "topology.py"
APPROVED = "4242424242424242"
LINES, MAX_CALLS = 30, 2
CAME_BACK_SECONDS = 15.0
ATTEMPTS, ON_ITS_WAY_SECONDS = 3, 0.25
"""After so many seconds a checkout has asked the catalog; the client waits four times as long for the answer."""
MAX_LOCKED_SECONDS = 0.3
"""A transaction that does not wait for the catalog takes less, or less than half of the request on a busy machine."""
ANSWERED = re.compile(
    r'^http_requests_total\{[^}]*route="/(?:api|internal)/[^"]*"[^}]*\} (\S+)$', re.MULTILINE
)
PRICE = re.compile(r"€[\d,.]+")
IN_CART = re.compile(r">(\d+) in your cart<")
MALFORMED = ("p00001", "P 1", "P00001,P00002", "../categories")


# ---- task 1


@check("the-service-answers", task="move", oracle=True)
def _(bench: Bench) -> None:
    """Every public path of the catalog is answered by the service, as the monolith answered it."""
    some = bench.random.sample(_products(bench), 4)
    sku, word = some[0]["sku"], some[1]["name"].split()[0]
    paths = [
        f"/api/products?page={bench.random.randint(2, 8)}&page_size=10",
        f"/api/products?category={some[2]['category']}&q={quote(word.lower())}",
        f"/api/products?sku={','.join(product['sku'] for product in some)}",
        f"/api/products/{sku}",
        f"/api/products/{sku}-NOT",
        "/api/categories",
    ]
    for path in paths:
        before = _answered(bench)
        bench.same(
            "GET",
            path,
            why="The catalog has moved, and nobody outside should notice.",
            look=f"{TOPOLOGY}: SEED fills the service's database; {ROUTES}",
        )
        asked = _answered(bench) - before
        bench.expect(
            asked == 1,
            expected="one request at the catalog service",
            got=f"{asked:.0f} requests there",
            why="While the monolith answers some of these paths, there are two catalogs.",
            look=f"{ROUTES}: /api/products, /api/categories and what is below them",
        )
    bench.same(
        "GET",
        "/API/products",
        why="Only the paths of the catalog have moved. A matcher that takes more changes answers of the monolith.",
        look=f"{ROUTES}: `path` ignores capital letters, `path_regexp` does not",
    )


@check("one-price-everywhere", task="move", oracle=True)
def _(bench: Bench) -> None:
    """A price that the service has been given is the price on the home page and the product's page."""
    product = bench.random.choice(_products(bench)[:10])
    cents = bench.random.randrange(1_000_000, 9_000_000)
    _set_prices(bench, {product["sku"]: cents})
    try:
        shown = f"{cents // 100:,}.{cents % 100:02d}"
        for path in ("/", f"/products/{product['sku']}"):
            answer = bench.shop().ask("GET", path)
            bench.expect(
                answer.status == 200 and shown in answer.text,
                did=f"set the price of {product['sku']} to €{shown} over the API, then: {answer.curl}",
                expected="a page with the new price",
                got=f"{answer.status}, and the price is not in it" if answer.status == 200 else answer,
                why="A page that reads another copy of the table sells at yesterday's prices.",
                look="monolith/catalog/__init__.py: whom do the pages ask?",
            )
    finally:
        _set_prices(bench, {product["sku"]: product["price_cents"]})


# ---- task 2


@check("the-cart-as-before", task="joins", oracle=True, seconds=20)
def _(bench: Bench) -> None:
    """Cart, search and checkout show today's names and prices, as with the joins; the calls for it are counted."""
    products = bench.random.sample(_products(bench), LINES)
    wanted = {product["sku"]: bench.random.randint(1, 3) for product in products}
    mine, theirs = _customer(bench.shop()), _customer(bench.oracle())
    _put_in_both(bench, mine, theirs, wanted)
    some = bench.random.sample(products, 3)
    _set_prices(bench, {product["sku"]: bench.random.randrange(100, 90_000) for product in some})
    try:
        _alike(
            bench,
            mine.ask("GET", "/api/cart"),
            theirs.ask("GET", "/api/cart"),
            f"put {LINES} products into the cart, and then changed three prices",
            "the cart with the products, names and prices of today",
            CART,
        )
        calls, seconds = _calls(bench, mine, "GET", "/api/cart")
        bench.note(f"a cart of {LINES} lines: {calls:.0f} calls to the catalog, {seconds * 1000:.0f} ms")
        _search_shows_the_cart(bench, mine, theirs, some[0])
        order = _check_out(mine, bench), _check_out(theirs, bench)
        _alike(
            bench,
            *order,
            "bought what is in the cart",
            "an order with the names and prices of today",
            CHECKOUT,
        )
    finally:
        _set_prices(bench, {product["sku"]: product["price_cents"] for product in some})


@check("an-unknown-product-is-refused", task="joins", oracle=True)
def _(bench: Bench) -> None:
    """A product that the catalog does not have cannot be put into the cart, nor anything that is no SKU."""
    mine, theirs = _customer(bench.shop()), _customer(bench.oracle())
    for sku in (f"NO-{bench.random.randint(1000, 9999)}", *MALFORMED):
        path = f"/api/cart/items/{quote(sku, safe='')}"
        expected = theirs.ask("PUT", path, json={"quantity": 1})
        got = mine.ask("PUT", path, json={"quantity": 1})
        bench.expect(
            _refusal(got) == _refusal(expected),
            expected=f"what the foreign key took care of: {_said(expected)}",
            got=got,
            why="Without the key, nothing but your code keeps products out that do not exist.",
            look=CART,
        )


@check("a-product-may-be-gone", task="joins")
def _(bench: Bench) -> None:
    """A product that the catalog no longer has is neither shown in the cart nor sold; the others are."""
    shop = bench.shop()
    gone, left = bench.random.sample(_products(bench), 2)
    someone = _customer(shop)
    for product in (gone, left):
        _put(bench, someone, product["sku"], 1)
    rename = "UPDATE products SET sku = ? WHERE sku = ?"
    with _changed(bench, rename, rename, "GONE", gone["sku"], gone["sku"], "GONE"):
        seen = someone.ask("GET", "/api/cart")
        bench.expect(
            _skus_of(seen) == [left["sku"]],
            did=f"removed {gone['sku']} from the catalog's database: {seen.curl}",
            expected=f"200 and a cart with {left['sku']} only",
            got=seen,
            why="No database keeps two others in agreement: a row can name a product that is gone.",
            look=CART,
        )
        order = _check_out(someone, bench)
        bench.expect(
            order.status == 201 and _skus_of(order) == [left["sku"]],
            did=f"bought it while {gone['sku']} is not in the catalog's database",
            expected=f"201 and an order of {left['sku']} only, which is what the cart showed",
            got=order,
            why="Nobody can say what a product costs that the catalog does not have.",
            look=CHECKOUT,
        )


@check("nobody-else-has-the-table", task="joins")
def _(bench: Bench) -> None:
    """The monolith has no table of the catalog, and does not open the catalog's database either."""
    shop = bench.shop()
    _answered(bench)
    with closing(sqlite3.connect(shop.database("monolith"))) as db:
        there = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    left = sorted(there & set(TABLES))
    bench.expect(
        not left,
        did="looked at the tables of the monolith's database",
        expected=f"none of {', '.join(TABLES)}",
        got=f"{', '.join(left)}",
        why="A second copy becomes wrong with the first change of a price.",
        look="monolith/catalog/models.py; monolith/seed.py",
    )
    product = bench.random.choice(_products(bench))
    someone = _customer(shop)
    _put(bench, someone, product["sku"], 1)
    new = product["price_cents"] + 12_345
    change = "UPDATE products SET price_cents = ? WHERE sku = ?"
    values = (new, product["sku"], product["price_cents"], product["sku"])
    with shop.killed(SERVICE), _changed(bench, change, change, *values):
        seen = someone.try_ask("GET", "/api/cart")
    bench.expect(
        str(new) not in seen.text,
        did=f"killed the catalog, and wrote another price into its database: {seen.curl}",
        expected="nobody who sees this price: only the catalog opens its database",
        got=seen,
        why="As long as two programs read a table, neither team can change it alone.",
        look=CART,
    )
    _wait_for_the_cart(bench, someone)


# ---- task 3


@check("thirty-lines-two-calls", task="batch", seconds=20)
def _(bench: Bench) -> None:
    """A cart of thirty lines makes at most two calls to the catalog: for the API, the page and the checkout."""
    someone = _customer(bench.shop())
    for product in bench.random.sample(_products(bench), LINES):
        _put(bench, someone, product["sku"], 1)
    counted = []
    for method, path, look in (
        ("GET", "/api/cart", CLIENT),
        ("GET", "/cart", CLIENT),
        ("GET", "/search?q=", PAGES),
        ("POST", "/api/orders", CHECKOUT),
    ):
        calls, seconds = _calls(bench, someone, method, path)
        bench.expect(
            calls <= MAX_CALLS,
            did=f"asked {method} {path} with {LINES} products in the cart, and counted at the catalog",
            expected=f"at most {MAX_CALLS} calls",
            got=f"{calls:.0f} calls, in {seconds * 1000:.0f} ms",
            why="A join becomes one call for all rows. A call for each row costs as many times as much.",
            look=look,
        )
        counted.append(f"{method} {path} {calls:.0f} ({seconds * 1000:.0f} ms)")
    bench.note("calls to the catalog: " + ", ".join(counted))


# ---- task 4


@check("the-shop-without-the-catalog", task="apart", seconds=25)
def _(bench: Bench) -> None:
    """Without the catalog, what needs it says 503, the rest works, and afterwards everything is as it was."""
    _database(bench)
    shop = bench.shop()
    kept, removed, other = bench.random.sample(_products(bench), 3)
    someone = _customer(shop)
    _put(bench, someone, other["sku"], 1)
    old = _check_out(someone, bench)
    for product in (kept, removed):
        _put(bench, someone, product["sku"], 1)
    before = someone.ask("GET", "/api/cart")
    key = _key(bench)
    with shop.without_database(SERVICE):
        _still_readable(bench, someone, before, "while the catalog's database is away")
    with shop.killed(SERVICE):
        away = "while the catalog is dead"
        _still_readable(bench, someone, before, away)
        order_id = (old.json() or {}).get("id", "")
        for path, look in (
            ("/api/orders", "monolith/orders"),
            (f"/api/inventory/{kept['sku']}", "monolith/inventory"),
            ("/orders", "monolith/storefront/buying.py"),
            (f"/orders/{order_id}", "monolith/storefront/buying.py"),
        ):
            answer = someone.ask("GET", path)
            bench.expect(
                answer.status == 200,
                did=f"{away}: {answer.curl}",
                expected="200: this needs nothing that only the catalog knows",
                got=answer,
                why="A part of the shop should fail only with what it needs.",
                look=look,
            )
        gone = someone.ask("DELETE", f"/api/cart/items/{removed['sku']}")
        bench.expect(
            gone.status == 204,
            did=f"{away}: {gone.curl}",
            expected="204: to take a product out, nobody needs its price",
            got=gone,
            why="A part of the shop should fail only with what it needs.",
            look=CART,
        )
        unknown = someone.ask("PUT", f"/api/cart/items/{other['sku']}", json={"quantity": 1})
        _expect_503(bench, unknown, away, "Nobody can say now whether this product exists.", CART)
        order = _check_out(someone, bench, key)
        _expect_503(bench, order, away, "A price that nobody can confirm must not be charged.", CHECKOUT)
    _wait_for_the_cart(bench, someone)
    after = someone.ask("GET", "/api/cart")
    bench.expect(
        _skus_of(after) == [kept["sku"]],
        did=f"started the catalog again: {after.curl}",
        expected=f"a cart with {kept['sku']} only",
        got=after,
        why="What was refused must not have happened, and what was accepted must have.",
        look=f"{CART}; {CHECKOUT}",
    )
    again = _check_out(someone, bench, key)
    bench.expect(
        again.status == 201,
        did="sent the checkout again when the catalog was back, with the same Idempotency-Key",
        expected="201: the refusal was not final",
        got=again,
        why="A customer who tries again after an outage must be able to buy.",
        look=f"{CHECKOUT}: which refusals are stored under the key?",
    )


@check("no-transaction-waits", task="apart", seconds=20)
def _(bench: Bench) -> None:
    """While a request waits for the catalog, it keeps nobody else from writing."""
    _port(bench)
    shop = bench.shop()
    first, second = bench.random.sample(_products(bench), 2)
    someone = _customer(shop)
    _put(bench, someone, first["sku"], 1)
    for what, look in (("checkout", CHECKOUT), ("change of the cart", CART)):
        _wait_for_the_cart(bench, someone)

        def send(what: str = what) -> None:
            if what == "checkout":
                _check_out(someone, bench)
            else:
                someone.try_ask("PUT", f"/api/cart/items/{second['sku']}", json={"quantity": 2})

        with shop.paused(SERVICE):
            locked, lasted = longest_lock(shop.database("monolith"), send)
        bench.expect(
            locked < max(MAX_LOCKED_SECONDS, lasted / 2),
            did=f"let the catalog hang, sent a {what}, and tried the lock of the monolith's database meanwhile",
            expected="a lock that is free for others while the request waits",
            got=f"it was held for {locked:.1f} of {lasted:.1f} s without a pause",
            why="One database has one writer: while it waits for the catalog, nobody in the whole shop can buy.",
            look=f"{look}: ask the catalog before the transaction begins",
        )


@check("nothing-gets-lost-meanwhile", task="apart", seconds=20)
def _(bench: Bench) -> None:
    """A product that comes into the cart while the checkout waits for the catalog is bought or stays in the cart."""
    shop = bench.shop()
    _database(bench)
    first, second = bench.random.sample(_products(bench), 2)
    for _ in range(ATTEMPTS):
        someone = _customer(shop)
        _put(bench, someone, first["sku"], 1)
        answers: list[Answer] = []
        request = threading.Thread(target=lambda s=someone, a=answers: a.append(_check_out(s, bench)))
        with shop.paused(SERVICE):
            request.start()
            time.sleep(ON_ITS_WAY_SECONDS)
            _insert_line(bench, someone.id, second["sku"])
        request.join()
        if answers and answers[0].status == 201:
            break
    else:
        raise bench.inconclusive(
            f"the checkout was too slow {ATTEMPTS} times: {answers[-1] if answers else ''}"
        )
    bought, left = _skus_of(answers[0]), _skus_of(someone.ask("GET", "/api/cart"))
    bench.expect(
        sorted([*bought, *left]) == sorted([first["sku"], second["sku"]]),
        did=f"put {second['sku']} into the cart while the checkout of {first['sku']} waits for the catalog",
        expected="both products, each either in the order or still in the cart",
        got=f"the order has {', '.join(bought) or 'nothing'}, the cart has {', '.join(left) or 'nothing'}",
        why="What the transaction finds may differ from what you asked about before it.",
        look=f"{CHECKOUT}: cart.take",
    )


@check("the-catalog-without-the-shop", task="apart")
def _(bench: Bench) -> None:
    """The catalog answers while the monolith's database is away."""
    shop = bench.shop()
    _answered(bench)
    product = bench.random.choice(_products(bench))
    paths = (f"/api/products/{product['sku']}", "/api/products?page_size=5", "/api/categories")
    before = [shop.ask("GET", path) for path in paths]
    with shop.without_database("monolith"):
        for path, earlier in zip(paths, before, strict=True):
            answer = shop.ask("GET", path)
            bench.expect(
                answer.status == 200 and answer.json() == earlier.json(),
                did=f"took the monolith's tables away: {answer.curl}",
                expected="the same answer as before",
                got=answer,
                why="A service that needs another one's database is not a service of its own.",
                look=f"{TOPOLOGY}; {ROUTES}",
            )


# ---- the catalog


def _port(bench: Bench) -> int:
    shop = bench.shop()
    bench.expect(
        f"{SERVICE}-1" in shop.names(),
        did="looked at the shop's processes",
        expected=f"a process with the name {SERVICE}-1",
        got=", ".join(shop.names()),
        why="The catalog is to be a process with a database of its own.",
        look=f"{TOPOLOGY}: one more Service",
    )
    return int(shop.fleet.replicas(SERVICE)[0].port)


def _database(bench: Bench) -> Path:
    _port(bench)
    try:
        return bench.shop().database(SERVICE)
    except CheckError as error:
        raise bench.not_yet(
            did="looked for the catalog's database",
            expected=f"a database that is filled for {SERVICE}",
            got=error,
            why="The catalog is to be a process with a database of its own.",
            look=f"{TOPOLOGY}: SEED",
        ) from None


def _answered(bench: Bench) -> float:
    """How many requests the catalog service has answered so far."""
    port, text = _port(bench), ""
    with requests.Session() as session, suppress(requests.RequestException):
        session.trust_env = False
        text = session.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    return sum(float(number) for number in ANSWERED.findall(text))


def _calls(bench: Bench, someone: Visitor, method: str, path: str) -> tuple[float, float]:
    """Send one request; the calls to the catalog that it made, and the seconds it took. NotYet unless it succeeds."""
    before = _answered(bench)
    answer = _check_out(someone, bench) if method == "POST" else someone.ask(method, path)
    bench.expect(
        answer.status in {200, 201},
        expected="200 or 201",
        got=answer,
        why="Its calls to the catalog are to be counted.",
        look="the log below",
    )
    return _answered(bench) - before, answer.seconds


def _products(bench: Bench) -> list[dict[str, Any]]:
    """A hundred products as the shop's API shows them, bestsellers first."""
    answer = bench.shop().ask("GET", "/api/products?page_size=100")
    body = answer.json()
    items = body.get("items") if isinstance(body, dict) else None
    wanted = {"sku", "name", "category", "price_cents"}
    bench.expect(
        isinstance(items, list)
        and len(items) == 100
        and all(isinstance(item, dict) and item.keys() >= wanted for item in items),
        expected="a hundred products",
        got=answer,
        why="The checks choose their products from this list.",
        look=f"{ROUTES}; {TOPOLOGY}: SEED",
    )
    return list(items or [])


def _set_prices(bench: Bench, prices: dict[str, Any]) -> None:
    """Set the prices in both shops."""
    for shop in (bench.shop(), bench.oracle()):
        admin = shop.admin()
        for sku, cents in prices.items():
            answer = admin.ask("PUT", f"/api/products/{sku}/price", json={"price_cents": cents})
            bench.expect(
                answer.status == 200,
                expected="200: the administrator may set prices",
                got=answer,
                why="The catalog checks the tokens of administrators itself now.",
                look=f"{TOPOLOGY}: reads_jwks; {ROUTES}",
            )


@contextmanager
def _changed(bench: Bench, change: str, back: str, *values: Any) -> Iterator[None]:
    """The catalog's own database is changed while the block runs, past the service. `back` undoes `change`."""
    file = _database(bench)

    def execute(sql: str, parameters: Sequence[Any]) -> int:
        try:
            with closing(sqlite3.connect(file, timeout=10)) as db, db:
                return db.execute(sql, parameters).rowcount
        except sqlite3.Error:
            return 0

    bench.expect(
        execute(change, values[: change.count("?")]) == 1,
        did="changed one product in the catalog's database",
        expected="the product there, in the table products",
        got="no such product, or no such table",
        why="The catalog keeps its products in its own database.",
        look=f"{TOPOLOGY}: SEED",
    )
    try:
        yield
    finally:
        execute(back, values[change.count("?") :])


# ---- carts and orders


def _customer(shop: Shop) -> Visitor:
    """A new customer, signed in by token and by the pages' cookie."""
    customer = shop.customer()
    form = {"email": customer.email, "password": customer.password, "next": "/"}
    customer.ask("POST", "/sign-in", form=form, headers={"Origin": shop.url})
    return customer


def _put(bench: Bench, someone: Visitor, sku: str, quantity: int) -> Answer:
    answer = someone.ask("PUT", f"/api/cart/items/{sku}", json={"quantity": quantity})
    bench.expect(
        answer.status == 200,
        expected="200 and the cart",
        got=answer,
        why="A product that the shop has can be put into the cart.",
        look=CART,
    )
    return answer


def _put_in_both(bench: Bench, mine: Visitor, theirs: Visitor, wanted: dict[str, int]) -> None:
    for sku, quantity in wanted.items():
        got = _put(bench, mine, sku, quantity)
        expected = theirs.ask("PUT", f"/api/cart/items/{sku}", json={"quantity": quantity})
    _alike(bench, got, expected, got.curl, "the whole cart, as the monolith answers", CART)


def _insert_line(bench: Bench, customer_id: str, sku: str) -> None:
    """What another request of this customer would write, without asking the catalog, which does not answer now."""
    file = bench.shop().database("monolith")
    try:
        with closing(sqlite3.connect(file, timeout=0.3)) as db, db:
            line = "INSERT INTO cart_lines (customer_id, sku, quantity) VALUES (?, ?, 1)"
            db.execute(line, (customer_id, sku))
    except sqlite3.Error as error:
        raise bench.not_yet(
            did="put a line into the cart (table cart_lines) while a checkout waits for the catalog",
            expected="a table with customer_id, sku and quantity, in which others can write meanwhile",
            got=error,
            why="One database has one writer: a transaction that waits for the catalog makes everybody wait.",
            look=f"{CHECKOUT}; monolith/cart/models.py",
        ) from None


def _key(bench: Bench) -> str:
    return f"check-{bench.random.getrandbits(64):016x}"


def _check_out(someone: Visitor, bench: Bench, key: str | None = None) -> Answer:
    """Buy what is in the cart; an Answer with status 0 when nothing comes."""
    headers = {"Idempotency-Key": key or _key(bench)}
    return someone.try_ask("POST", "/api/orders", json={"card_number": APPROVED}, headers=headers)


def _wait_for_the_cart(bench: Bench, someone: Visitor) -> None:
    """Until the catalog is asked again; a breaker may be open."""
    bench.wait_until(
        lambda: someone.try_ask("GET", "/api/cart").status == 200,
        CAME_BACK_SECONDS,
        "a cart, after the catalog was started again,",
    )


# ---- answers


def _alike(bench: Bench, mine: Answer, theirs: Answer, did: str, expected: str, look: str) -> None:
    """NotYet unless both answers have the same status, lines and total; it names the first line that differs."""
    pairs = zip_longest(_facts(theirs), _facts(mine), fillvalue="nothing in this place")
    want, have = next(((want, have) for want, have in pairs if want != have), ("", ""))
    bench.expect(
        want == have,
        did=did,
        expected=f"{expected}, as the untouched monolith shows: {want}",
        got=have,
        why="Customers see only that something is missing or wrong, not that a join became a call.",
        look=look,
    )


def _search_shows_the_cart(bench: Bench, mine: Visitor, theirs: Visitor, product: dict[str, Any]) -> None:
    path = f"/search?category={product['category']}"
    pages = [someone.ask("GET", path) for someone in (mine, theirs)]
    did = f"searched as a customer with {LINES} products in the cart: {pages[0].curl}"
    for pattern, what in ((IN_CART, "how many of each are in the cart"), (PRICE, "today's prices")):
        got, expected = (pattern.findall(page.text) for page in pages)
        bench.expect(
            pages[0].status == 200 and got == expected,
            did=did,
            expected=f"{what}: {', '.join(expected) or 'none on this page'}",
            got=f"{pages[0].status}: {', '.join(got) or 'none'}",
            why="The search joined the cart's table to the catalog's. Now two sides know one half each.",
            look=PAGES,
        )


def _facts(answer: Answer) -> list[Any]:
    """The status, the lines and the total of a cart or an order, one after the other."""
    body = answer.json()
    if not isinstance(body, dict) or not isinstance(body.get("items"), list):
        return [str(answer)]
    return [answer.status, *body["items"], f"total_cents {body.get('total_cents')}"]


def _skus_of(answer: Answer) -> list[Any]:
    body = answer.json()
    items = body.get("items") if isinstance(body, dict) else None
    return [item.get("sku") for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _refusal(answer: Answer) -> tuple[int, Any]:
    body = answer.json()
    return answer.status, (body.get("type"), body.get("sku")) if isinstance(body, dict) else None


def _said(answer: Answer) -> str:
    body = answer.json()
    return f"{answer.status} {body.get('type', '') if isinstance(body, dict) else ''}"


def _is_unavailable(answer: Answer) -> bool:
    body = answer.json()
    return answer.status == 503 and isinstance(body, dict) and body.get("type") == "/problems/unavailable"


def _expect_503(bench: Bench, answer: Answer, away: str, why: str, look: str) -> None:
    bench.expect(
        _is_unavailable(answer),
        did=f"{away}: {answer.curl}",
        expected="503 /problems/unavailable, so that the customer tries again",
        got=answer,
        why=why,
        look=look,
    )


def _still_readable(bench: Bench, someone: Visitor, before: Answer, away: str) -> None:
    """The cart is either complete, or a clear 503; so is its page."""
    seen = someone.ask("GET", "/api/cart")
    bench.expect(
        _is_unavailable(seen) or (seen.status == 200 and seen.json() == before.json()),
        did=f"{away}: {seen.curl}",
        expected="503 /problems/unavailable, or the whole cart if you still know its names and prices",
        got=seen,
        why="An empty cart, or one without prices, is a wrong answer. A 500 looks like our mistake.",
        look=f"{CLIENT}; {CART}",
    )
    for path in ("/cart", "/"):
        page = someone.ask("GET", path)
        bench.expect(
            page.status in {200, 503},
            did=f"{away}: {page.curl}",
            expected="a page that says what does not work just now (503), or the whole page",
            got=f"{page.status} {page.text[:200]}",
            why="A 500 looks like our mistake, and tells nobody to try again.",
            look=PAGES,
        )
