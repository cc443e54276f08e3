"""Many requests at the same moment, threads of this process against real databases: the last piece, the same key.

Both shops, on SQLite and on PostgreSQL. test_races_live.py has the same with real processes and replicas.
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import event, text

from microservices.chaos.invariants import Told, broken_in
from microservices.orders import clients, store
from microservices.tests import postgresql
from microservices.tests.shops import CARD, DECLINED, InProcess, Reply, opened
from microservices.topology import MONOLITH, SPLIT
from monolith.dataset import Sizes

THREADS = 3
BUYERS, ROUNDS, REPEATS = 24, 2, 50
SIZES = Sizes(seed=1, products=40, customers=BUYERS, orders=10)
SKU, KEY = "P00001", "key-00000001"
TOPOLOGIES = {"split": SPLIT, "monolith": MONOLITH}


_numbers = itertools.count(1000)


@pytest.fixture(
    scope="module", params=["split sqlite", "monolith sqlite", "split postgresql", "monolith postgresql"]
)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    name, backend = request.param.split()
    with ExitStack() as stack:
        pattern = None
        if backend == "postgresql":
            _, pattern = stack.enter_context(postgresql.databases(TOPOLOGIES[name]))
        yield stack.enter_context(opened(name, tmp_path_factory.mktemp(name), SIZES, pattern))


@pytest.fixture
def customer(shop: InProcess) -> Iterator[str]:
    """Somebody who has one piece in the cart; nothing is broken when the test is over."""
    customer = f"C{next(_numbers):05}"
    shop.stock(SKU, 1000)
    assert shop.put(customer, SKU).status == 200
    yield customer
    shop.settle()
    assert broken_in(shop.look()) == []


def at_once(work: Callable[[Any], Any], items: Any) -> list[Any]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, items))


def test_one_key_sent_fifty_times_at_once_is_one_order(shop, customer):
    replies = at_once(lambda _: until_decided(shop, customer, KEY), range(REPEATS))
    assert {reply.status for reply in replies} == {201}
    assert len({reply.body["id"] for reply in replies}) == 1
    assert [reply.body for reply in replies] == [replies[0].body] * REPEATS
    assert sum(not reply.replayed for reply in replies) == 1
    assert shop.check_out(customer, KEY, DECLINED).status == 422
    assert shop.ask(customer, "GET", "/api/orders").body["total"] == 1


def test_one_key_with_two_bodies_at_once_belongs_to_one_of_them(shop, customer):
    cards = [CARD, DECLINED] * (REPEATS // 2)
    replies = at_once(lambda card: until_decided(shop, customer, KEY, card), cards)
    first = 0 if any(reply.status == 201 for reply in replies) else 1
    assert {reply.status for reply in replies[first::2]} == {(201, 402)[first]}
    assert {reply.status for reply in replies[1 - first :: 2]} == {422}


def test_one_cart_is_sold_once_however_many_keys_it_is_sent_with_at_once(shop, customer):
    replies = at_once(lambda number: shop.check_out(customer, f"key-{number:08}"), range(10))
    assert [reply.status for reply in replies].count(201) == 1
    assert {reply.body["type"] for reply in replies if reply.status != 201} <= {
        "/problems/cart-empty",
        "/problems/checkout-in-progress",
    }


@pytest.mark.parametrize("shop", ["split sqlite", "split postgresql"], indirect=True)
def test_a_cart_that_was_read_before_its_order_was_settled_is_not_sold_again(shop, customer):
    """The second checkout begins while the first one sells, and stores its order when the first one is done."""
    reserve, products = clients.reserve, clients.products
    may_go_on = threading.Event()

    def wait_and_reserve(*arguments: Any) -> None:
        assert may_go_on.wait(30)
        reserve(*arguments)

    def price_when_the_first_is_done(skus: Any) -> Any:
        may_go_on.set()
        first.result()
        return products(skus)

    with ThreadPoolExecutor(1) as pool, patch.object(clients, "reserve", wait_and_reserve):
        first = pool.submit(shop.check_out, customer, KEY)
        while not is_under_way(shop, customer):
            assert not first.done()
        with patch.object(clients, "products", price_when_the_first_is_done):
            second = shop.check_out(customer, "key-00000002")
        may_go_on.set()
    assert first.result().status == 201
    assert (second.status, second.body["type"]) == (409, "/problems/checkout-in-progress")


@pytest.mark.parametrize("shop", ["split sqlite", "split postgresql"], indirect=True)
def test_a_cart_that_was_read_before_another_checkout_began_is_not_sold_again(shop, customer):
    products, first = clients.products, list[Reply]()

    def price_after_another(skus: Any) -> Any:
        with patch.object(clients, "products", products):
            first.append(shop.check_out(customer, KEY))
        return products(skus)

    with patch.object(clients, "products", price_after_another):
        second = shop.check_out(customer, "key-00000002")
    assert [reply.status for reply in first] == [201]
    assert (second.status, second.body["type"]) == (409, "/problems/checkout-in-progress")


@pytest.mark.parametrize("shop", ["split postgresql"], indirect=True)
def test_of_two_checkouts_that_both_saw_no_other_one_is_stored(shop, customer):
    """Between the second one's last look and its insert the first is stored; on SQLite nothing can come between."""
    reserve, may_go_on, began = clients.reserve, threading.Event(), list[Future[Reply]]()
    here = threading.current_thread()

    def wait_and_reserve(*arguments: Any) -> None:
        if threading.current_thread() is not here:
            assert may_go_on.wait(30)
        reserve(*arguments)

    def overtake(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO orders ") and not began:
            began.append(pool.submit(shop.check_out, customer, KEY))
            while not is_under_way(shop, customer):
                assert not began[0].done()

    engine = shop.database("orders").engine
    with ThreadPoolExecutor(1) as pool, patch.object(clients, "reserve", wait_and_reserve):
        event.listen(engine, "before_cursor_execute", overtake)
        try:
            second = shop.check_out(customer, "key-00000002")
        finally:
            event.remove(engine, "before_cursor_execute", overtake)
            may_go_on.set()
    assert began[0].result().status == 201
    assert (second.status, second.body.get("type")) == (409, "/problems/checkout-in-progress")


def is_under_way(shop: InProcess, customer: str) -> bool:
    return any(order["customer_id"] == customer and order["step"] == "priced" for order in shop.look().orders)


def test_the_last_piece_is_sold_once_however_many_want_it(shop):
    for turn in range(ROUNDS):
        buyers = [f"C{number + 1:05}" for number in range(BUYERS)]
        key = f"last-{turn:08}"
        for buyer in buyers:
            shop.put(buyer, SKU)
        shop.stock(SKU, 1)
        replies = at_once(lambda buyer: until_decided(shop, buyer, key), buyers)  # noqa: B023 - used up in this turn
        assert sorted(reply.status for reply in replies) == [201] + [409] * (BUYERS - 1)
        told = [
            Told(buyer, key, reply.status, reply.body if reply.status == 201 else None)
            for buyer, reply in zip(buyers, replies, strict=True)
        ]
        shop.settle()
        assert broken_in(shop.look(), told) == []


@pytest.mark.parametrize("shop", ["split sqlite", "split postgresql", "monolith postgresql"], indirect=True)
def test_a_repeat_that_had_looked_before_the_first_was_there_gets_the_answer_of_the_first(shop, customer):
    """Between its look and its claim the first request happens from start to end.

    On SQLite the monolith looks and claims in one transaction, which nothing can come between.
    """
    first: list[Reply | None] = []

    def overtake() -> None:
        if not first:
            first.append(None)
            first[0] = shop.check_out(customer, KEY)

    with overtaken(shop, overtake):
        second = shop.check_out(customer, KEY)
    assert (first[0].status, second.status, second.replayed) == (201, 201, True)
    assert second.body == first[0].body
    assert shop.ask(customer, "GET", "/api/orders").body["total"] == 1


@pytest.mark.parametrize("shop", ["split sqlite", "monolith sqlite"], indirect=True)
def test_whoever_reads_before_it_writes_does_not_fail_because_somebody_else_wrote_between(shop):
    """What a deferred BEGIN does on SQLite, at once and however long the timeout is."""
    database = shop.database("inventory")
    touch = "UPDATE stock SET available = available + 1, received = received + 1"
    with database.writing() as db, closing(sqlite3.connect(database.engine.url.database, timeout=0)) as other:
        db.execute(text("SELECT available FROM stock")).all()
        with suppress(sqlite3.OperationalError):  # it is their turn later
            other.execute(touch)
            other.commit()
        db.execute(text(touch))


@contextmanager
def overtaken(shop: InProcess, overtake: Callable[[], None]) -> Iterator[None]:
    """Have this happen after a checkout looked for an earlier one, and before it writes anything down."""
    if shop.name == "split":
        look = store.newest_number

        def newest_number(who: str) -> int | None:
            overtake()
            return look(who)

        with patch.object(store, "newest_number", newest_number):
            yield
        return

    def before(_db: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO idempotency_keys"):
            overtake()

    engine = shop.database("orders").engine
    event.listen(engine, "before_cursor_execute", before)
    yield
    event.remove(engine, "before_cursor_execute", before)


def until_decided(shop: InProcess, customer: str, key: str, card: str = CARD) -> Reply:
    """What a patient client is told, who asks again while the checkout is in progress or the shop is busy."""
    for _ in range(20):
        reply = shop.check_out(customer, key, card)
        if (
            reply.status not in {503, 504}
            and (reply.body or {}).get("type") != "/problems/checkout-in-progress"
        ):
            return reply
    raise AssertionError(f"never decided: {reply}")
