"""01: the learner's tests are green on the shop and red on shops that each break one promise.

A broken shop is the untouched monolith, seen through a function that alters its answers (`BROKEN` has them all). A test
finds a broken shop when it is red there and green on the sound shop: a test that is red everywhere finds nothing. Later
exercises run the tests on the shop as it is then, and not on the broken ones again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any
from weakref import WeakKeyDictionary

from exercises.checks.altering import Alteration, Behind, Reply, altered, sent
from exercises.checks.checking import Bench, Shop, check
from exercises.checks.suite import Pass, Result, run_suite
from microservices.chaos.standin import Asked

INSIDE = ("monolith", "microservices", "sqlite3", "sqlalchemy", "psycopg", "flask")
TESTS, RUN = "tests/test_shop.py", "SHOP_URL=http://127.0.0.1:8000 python -m pytest"
WHY_OUTSIDE = "In a few steps another program is behind the address, and these tests must still run."
TOTAL, PRICE = "test_an_order_costs_what_its_lines_add_up_to", "test_a_customer_cannot_choose_the_price"
DECLINED = "test_a_declined_card_changes_nothing"
STRANGER, TWICE = (
    "test_nobody_sees_the_order_of_somebody_else",
    "test_a_checkout_that_is_sent_twice_is_one_order",
)


@dataclass(frozen=True)
class Broken:
    """A shop that breaks one promise."""

    breaks: str
    test: str
    """The test that should find it, by the name that the start gives it; it runs first."""
    look: str
    alter: Alteration


BROKEN: dict[str, list[Broken]] = {"total": [], "price": [], "declined": [], "stranger": [], "twice": []}
FIRST_HALF = {"total", "price", "stranger"}


def broken(kind: str, test: str, breaks: str, look: str) -> Callable[[Alteration], Alteration]:
    """Declare a function as a broken shop."""

    def register(alter: Alteration) -> Alteration:
        BROKEN[kind].append(Broken(breaks, test, look, alter))
        return alter

    return register


@broken(
    "total", TOTAL, "that rounds each total to whole euros", "prices such as 19.99 do not survive rounding"
)
def _(shop: Behind, asked: Asked) -> Reply:
    return _with_totals(shop, asked, lambda order: 100 * round(order["total_cents"] / 100))


@broken("total", TOTAL, "that charges only one line of an order", "put two products into the cart")
def _(shop: Behind, asked: Asked) -> Reply:
    return _with_totals(shop, asked, lambda order: order["items"][0]["line_total_cents"])


@broken("total", TOTAL, "that forgets the quantities", "buy more than one piece of a product")
def _(shop: Behind, asked: Asked) -> Reply:
    return _with_totals(shop, asked, lambda order: sum(each["unit_price_cents"] for each in order["items"]))


@broken(
    "total",
    TOTAL,
    "that forgets the quantities in the lines as well",
    "work the total out from the prices that you set",
)
def _(shop: Behind, asked: Asked) -> Reply:
    def of_one_piece_each(order: dict[str, Any]) -> dict[str, Any]:
        items = [{**line, "line_total_cents": line["unit_price_cents"]} for line in order["items"]]
        return {**order, "items": items, "total_cents": sum(line["line_total_cents"] for line in items)}

    return _with_orders(shop, asked, of_one_piece_each)


@broken("total", TOTAL, "whose lines cost nothing", "look at the line_total_cents of each line")
def _(shop: Behind, asked: Asked) -> Reply:
    def of_nothing(order: dict[str, Any]) -> dict[str, Any]:
        return {**order, "items": [{**line, "line_total_cents": 0} for line in order["items"]]}

    return _with_orders(shop, asked, of_nothing)


@broken("price", PRICE, "that charges the total_cents sent with the card", "send total_cents with the card")
def _(shop: Behind, asked: Asked) -> Reply:
    if _is_checkout(asked) and (wanted := sent(asked).get("total_cents")):
        reply = shop.send(asked, json=_only_the_card(asked))
        shop.memory[reply.json.get("id")] = wanted
        return reply.with_json({**reply.json, "total_cents": wanted}) if reply.status == 201 else reply
    return _with_totals(shop, asked, lambda order: shop.memory.get(order["id"], order["total_cents"]))


@broken("price", PRICE, "that ignores a field it does not know and sells", "the answer must be 422")
def _(shop: Behind, asked: Asked) -> Reply:
    return shop.send(asked, json=_only_the_card(asked)) if _is_checkout(asked) else shop.send(asked)


@broken("price", PRICE, "that answers 400 to a field it does not know", "the answer must be 422")
def _(shop: Behind, asked: Asked) -> Reply:
    reply = shop.send(asked)
    refused = {"type": "/problems/malformed-request", "title": "The request cannot be read", "status": 400}
    return reply.with_json(refused, 400) if _is_checkout(asked) and reply.status == 422 else reply


@broken("price", PRICE, "that answers 422 and places the order all the same", "look for orders after the 422")
def _(shop: Behind, asked: Asked) -> Reply:
    reply = shop.send(asked)
    if _is_checkout(asked) and reply.status == 422:
        shop.send(asked, json=_only_the_card(asked))
    return reply


@broken("declined", DECLINED, "that loses stock to a declined card", "look at the stock before and after")
def _(shop: Behind, asked: Asked) -> Reply:
    if _is_declined(asked, reply := shop.send(asked)):
        for line in _cart(shop, asked):
            _sell_one(shop, line["sku"])
    return reply


@broken("declined", DECLINED, "that keeps the order of a declined card", "look at the customer's orders")
def _(shop: Behind, asked: Asked) -> Reply:
    reply = shop.send(asked)
    who = asked.headers["Authorization"]
    if _is_declined(asked, reply):
        order = {"id": uuid.uuid4().hex, "status": "confirmed", "items": _cart(shop, asked)}
        shop.memory.setdefault(who, []).append({**order, "total_cents": 1})
    if (asked.method, asked.route) == ("GET", "/api/orders") and who in shop.memory:
        items = [*shop.memory[who], *reply.json["items"]]
        return reply.with_json({**reply.json, "items": items, "total": len(items)})
    return reply


@broken(
    "declined", DECLINED, "that empties the cart when a card is declined", "look into the cart afterwards"
)
def _(shop: Behind, asked: Asked) -> Reply:
    if _is_declined(asked, reply := shop.send(asked)):
        shop.send(asked, method="DELETE", path="/api/cart", json={})
    return reply


@broken(
    "declined",
    DECLINED,
    "that puts more pieces into the cart when a card is declined",
    "compare the cart with what it was, also the quantities",
)
def _(shop: Behind, asked: Asked) -> Reply:
    if _is_declined(asked, reply := shop.send(asked)):
        for line in _cart(shop, asked):
            path = f"/api/cart/items/{line['sku']}"
            shop.send(asked, method="PUT", path=path, json={"quantity": line["quantity"] + 1})
    return reply


@broken("declined", DECLINED, "that answers 422 to a declined card", "the answer must be 402")
def _(shop: Behind, asked: Asked) -> Reply:
    reply = shop.send(asked)
    refused = {"type": "/problems/invalid-request", "title": "The request is not valid", "status": 422}
    return reply.with_json(refused, 422) if _is_declined(asked, reply) else reply


@broken(
    "stranger", STRANGER, "that shows an order to every customer who knows its id", "two customers, one order"
)
def _(shop: Behind, asked: Asked) -> Reply:
    reply = shop.send(asked)
    owner = _owner_if_strange(shop, asked, reply)
    return shop.send(asked, headers={"Authorization": owner}) if owner else reply


@broken(
    "stranger", STRANGER, "that answers 403 to strangers, which says that the order exists", "it must be 404"
)
def _(shop: Behind, asked: Asked) -> Reply:
    reply = shop.send(asked)
    forbidden = {"type": "/problems/forbidden", "title": "Not allowed", "status": 403}
    return reply.with_json(forbidden, 403) if _owner_if_strange(shop, asked, reply) else reply


@broken("stranger", STRANGER, "that shows an order to nobody", "its own customer must see it")
def _(shop: Behind, asked: Asked) -> Reply:
    reply = shop.send(asked)
    hidden = {"type": "/problems/unknown-order", "title": "There is no such order", "status": 404}
    is_order = asked.method == "GET" and asked.route.startswith("/api/orders/") and reply.status == 200
    return reply.with_json(hidden, 404) if is_order else reply


@broken(
    "twice",
    TWICE,
    "that takes a repeated checkout for a new one",
    "fill the cart again before the second one",
)
def _(shop: Behind, asked: Asked) -> Reply:
    return shop.send(asked, headers=_new_key()) if _is_checkout(asked) else shop.send(asked)


@broken("twice", TWICE, "that sells once but answers 409 to the repeated checkout", "compare the two answers")
def _(shop: Behind, asked: Asked) -> Reply:
    is_repeated, reply = _is_repeated(shop, asked), shop.send(asked)
    conflict = {"type": "/problems/repeated", "title": "You ordered that already", "status": 409}
    return reply.with_json(conflict, 409) if is_repeated else reply


@broken("twice", TWICE, "that repeats the answer and sells again", "count the orders, or look at the stock")
def _(shop: Behind, asked: Asked) -> Reply:
    is_repeated, reply = _is_repeated(shop, asked), shop.send(asked)
    if is_repeated and reply.status == 201:
        for line in reply.json["items"]:
            path = f"/api/cart/items/{line['sku']}"
            shop.send(asked, method="PUT", path=path, json={"quantity": line["quantity"]})
        shop.send(asked, headers=_new_key())
    return reply


@broken(
    "twice",
    TWICE,
    "that repeats the answer and sells what is in the cart by then",
    "fill the cart again before the second one, and count the orders",
)
def _(shop: Behind, asked: Asked) -> Reply:
    is_repeated, reply = _is_repeated(shop, asked), shop.send(asked)
    if is_repeated and reply.status == 201:
        shop.send(asked, headers=_new_key())
    return reply


@broken(
    "twice",
    TWICE,
    "that answers 201 with another order to the repeated checkout",
    "compare the orders in the two answers, not only the status",
)
def _(shop: Behind, asked: Asked) -> Reply:
    is_repeated, reply = _is_repeated(shop, asked), shop.send(asked)
    return (
        reply.with_json({**reply.json, "id": uuid.uuid4().hex})
        if is_repeated and reply.status == 201
        else reply
    )


@broken(
    "twice",
    TWICE,
    "that answers 200 with the same order to the repeated checkout",
    "the same answer has the same status",
)
def _(shop: Behind, asked: Asked) -> Reply:
    is_repeated, reply = _is_repeated(shop, asked), shop.send(asked)
    return reply.with_json(reply.json, 200) if is_repeated and reply.status == 201 else reply


@check("green-on-the-shop", task="run-it", untidy=True)
def _(bench: Bench) -> None:
    """Your tests are green on the shop, and green again in the opposite order a moment later."""
    runs, started = _runs(bench), time.perf_counter()
    runs.green = run_suite(bench, [Pass(bench.shop().url), Pass(bench.shop().url, "reversed")])
    for result, which in zip(
        runs.green, ("", ", then once more from the last test to the first"), strict=True
    ):
        bench.expect(
            not result.failed and not result.broken and result.status in {0, 5},
            did=f"{RUN}{which}",
            expected="green tests: this shop keeps its promises",
            got=result,
            why="Tests that are red on a correct shop cannot find a broken one. Tests that need a fresh shop, or "
            "the tests before them, cannot be run one by one against a shop in use.",
            look=_place(result),
        )
    bench.note(f"{runs.green[0]} in {(time.perf_counter() - started) / 2:.1f} s")


@check("knows-only-the-address", task="run-it", shop=False)
def _(bench: Bench) -> None:
    """Your tests know only the shop's address, so they stay right when the code inside it changes."""
    for each in bench.imports("tests"):
        bench.expect(
            each.module.partition(".")[0] not in INSIDE,
            did=f"read the imports of {each.file.as_posix()}",
            expected="tests that ask the shop over HTTP and import nothing from it",
            got=f"line {each.line} imports {each.module}",
            why=WHY_OUTSIDE,
            look=f"{each.file.as_posix()}, line {each.line}",
        )


@check("needs-nothing-else", task="run-it", untidy=True, until="measure-first")
def _(bench: Bench) -> None:
    """Your tests need nothing of the workspace but their own folder, and import the shop in no other way."""
    green = _green(bench)
    with TemporaryDirectory() as alone:
        copytree(bench.workspace / "tests", Path(alone) / "tests")
        result = run_suite(bench, [Pass(bench.shop().url)], folder=Path(alone), hidden=INSIDE)[0]
    lost = {test: said for test, said in result.failed.items() if test in green.passed}
    bench.expect(
        not lost and (not result.broken or green.broken),
        did="ran your tests in a folder with nothing but tests/ in it, where the shop's packages cannot be imported",
        expected="the same green tests: SHOP_URL says all that they need",
        got="; ".join([*result.broken, *lost.values()][:2]),
        why=WHY_OUTSIDE,
        look=_place(Result(1, failed=lost, broken=result.broken)),
    )


@check("finds-a-wrong-total", task="money", shop=False, oracle=True, seconds=15, until="measure-first")
def _(bench: Bench) -> None:
    """Your tests are red on shops whose totals are wrong."""
    _expect_found(bench, "total")


@check("finds-a-price-from-outside", task="money", shop=False, oracle=True, seconds=15, until="measure-first")
def _(bench: Bench) -> None:
    """Your tests are red on shops that do not refuse a price from outside."""
    _expect_found(bench, "price")


@check("finds-lost-stock", task="refusal", shop=False, oracle=True, seconds=15, until="measure-first")
def _(bench: Bench) -> None:
    """Your tests are red on shops on which a declined card leaves something behind."""
    _expect_found(bench, "declined")


@check("finds-a-strangers-order", task="privacy", shop=False, oracle=True, seconds=15, until="measure-first")
def _(bench: Bench) -> None:
    """Your tests are red on shops that show orders to strangers, or tell them which orders exist."""
    _expect_found(bench, "stranger")


@check("finds-a-second-order", task="repeat", shop=False, oracle=True, seconds=15, until="measure-first")
def _(bench: Bench) -> None:
    """Your tests are red on shops that sell twice or answer differently when a checkout is repeated."""
    _expect_found(bench, "twice")


# ---- running the learner's tests


@dataclass(frozen=True)
class Hunt:
    """The result on a broken shop, and on the sound one before and after it."""

    shop: Broken
    before: Result
    result: Result
    after: Result

    @property
    def trusted(self) -> set[str]:
        """The tests that say something: green on the sound shop, also when they run there again."""
        return set(self.before.passed) & set(self.after.passed)

    def __str__(self) -> str:
        """What is seen instead of a test that is red on the broken shop only."""
        red = [said for test, said in self.after.failed.items() if self.shop.test in test]
        if everywhere := [*self.after.broken, *red, *self.after.failed.values()]:
            return f"the test is red on a correct shop too: {everywhere[0]}"
        ran = any(self.shop.test in test for test in self.before.passed)
        missing = "" if ran else f", and {self.shop.test} is skipped or missing"
        return f"no red test; {len(self.trusted)} tests are green there{missing}"


@dataclass
class Runs:
    """The results in one run of the checks, so that nothing is run twice."""

    green: list[Result] = field(default_factory=list)
    """On the learner's shop."""
    hunts: dict[str, list[Hunt]] = field(default_factory=dict)
    """On the broken shops, by kind."""


_known_runs: WeakKeyDictionary[Bench, Runs] = WeakKeyDictionary()


def _runs(bench: Bench) -> Runs:
    return _known_runs.setdefault(bench, Runs())


def _green(bench: Bench) -> Result:
    runs = _runs(bench)
    if not runs.green:
        runs.green = run_suite(bench, [Pass(bench.shop().url)])
    return runs.green[0]


def _expect_found(bench: Bench, kind: str) -> None:
    """Each broken shop of this kind makes a test red that is green on the sound shop."""
    runs = _runs(bench)
    runs.hunts = runs.hunts or _hunts(bench)
    for hunt in runs.hunts[kind]:
        bench.expect(
            hunt.trusted & set(hunt.result.failed),
            did=f"{RUN}, against a shop {hunt.shop.breaks}",
            expected=f"a red test, such as {hunt.shop.test}, that is green on a correct shop",
            got=hunt,
            why="You will take this shop apart. A promise without a test can be broken on the way, unnoticed.",
            look=f"{TESTS}, {hunt.shop.test}: {hunt.shop.look}",
        )


def _hunts(bench: Bench) -> dict[str, list[Hunt]]:
    """The learner's tests on all broken shops, by kind: half of them in a second shop at the same time."""

    def in_the_oracle() -> list[Hunt]:
        return _hunt(bench, bench.oracle(), [each for kind in FIRST_HALF for each in BROKEN[kind]])

    def in_another() -> list[Hunt]:
        with bench.boot(bench.original()) as shop:
            return _hunt(bench, shop, [each for kind in BROKEN.keys() - FIRST_HALF for each in BROKEN[kind]])

    with ThreadPoolExecutor(2) as pool:
        halves = [pool.submit(in_the_oracle), pool.submit(in_another)]
        found = [hunt for half in halves for hunt in half.result()]
    return {kind: [hunt for hunt in found if hunt.shop in BROKEN[kind]] for kind in BROKEN}


def _hunt(bench: Bench, shop: Shop, broken_shops: list[Broken]) -> list[Hunt]:
    with ExitStack() as stack:

        def through(alter: Alteration) -> str:
            return stack.enter_context(altered(shop, alter)).url

        sound = Pass(through(lambda shop, asked: shop.send(asked)))
        passes = [Pass(through(each.alter), each.test, hunts=True) for each in broken_shops]
        before, *results, after = run_suite(bench, [sound, *passes, sound])
    return [Hunt(each, before, result, after) for each, result in zip(broken_shops, results, strict=True)]


def _place(result: Result) -> str:
    """File and line of the first thing that is wrong."""
    said = [*result.broken, *result.failed.values()]
    return said[0].partition(":")[0] if said and said[0].startswith("tests") else TESTS


# ---- breaking a promise


def _is_checkout(asked: Asked) -> bool:
    return (asked.method, asked.route) == ("POST", "/api/orders")


def _is_declined(asked: Asked, reply: Reply) -> bool:
    return _is_checkout(asked) and reply.status == 402


def _is_repeated(shop: Behind, asked: Asked) -> bool:
    """Whether this is a checkout with a customer and a key that came before."""
    checkout = (asked.headers["Authorization"], asked.headers["Idempotency-Key"])
    known = shop.memory.get(checkout, False)
    shop.memory[checkout] = _is_checkout(asked) or known
    return bool(known) and _is_checkout(asked)


def _only_the_card(asked: Asked) -> dict[str, Any]:
    return {name: value for name, value in sent(asked).items() if name == "card_number"}


def _new_key() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}


def _with_totals(shop: Behind, asked: Asked, total: Callable[[dict[str, Any]], int]) -> Reply:
    """Send the request; orders in the answer get another total."""
    return _with_orders(shop, asked, lambda order: {**order, "total_cents": total(order)})


def _with_orders(shop: Behind, asked: Asked, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Reply:
    """Send the request; orders in the answer are changed."""
    reply = shop.send(asked)
    if not asked.route.startswith("/api/orders") or reply.status >= 400:
        return reply
    if "total_cents" in reply.json:
        return reply.with_json(change(reply.json))
    return reply.with_json({**reply.json, "items": [change(order) for order in reply.json["items"]]})


def _cart(shop: Behind, asked: Asked) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = shop.send(asked, method="GET", path="/api/cart", json={}).json["items"]
    return items


def _sell_one(shop: Behind, sku: str) -> None:
    path = f"/api/inventory/{sku}"
    available = shop.admin.ask("GET", path).json()["available"]
    shop.admin.ask("PUT", path, json={"available": available - 1})


def _owner_if_strange(shop: Behind, asked: Asked, reply: Reply) -> str:
    """The owner's Authorization, when somebody else who is signed in asked for an order; else empty."""
    if _is_checkout(asked) and reply.status == 201:
        shop.memory[reply.json["id"]] = asked.headers["Authorization"]
    is_strange = asked.method == "GET" and asked.route.startswith("/api/orders/") and reply.status == 404
    return str(shop.memory.get(asked.route.rpartition("/")[2], "")) if is_strange else ""
