"""Many requests at once for the last item, or with the same key: threads of this process on real databases.

Both shops, on SQLite and on PostgreSQL. test_races_live.py does the same with real processes and replicas.
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import event, text

from microservices.chaos.invariants import violations_in
from microservices.orders import clients, store
from microservices.tests.shops import BOTH_DATABASES, CARD, DECLINED, InProcessShop, Reply, observed, shop_on
from monolith.dataset import Sizes

THREADS = 3
BUYERS, ROUNDS, REPEATS = 24, 2, 50
SIZES = Sizes(seed=1, products=40, customers=BUYERS, orders=10)
SKU, KEY = "P00001", "key-00000001"


_numbers = itertools.count(1000)


@pytest.fixture(scope="module", params=BOTH_DATABASES)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessShop]:
    with shop_on(request.param, tmp_path_factory.mktemp("shop"), SIZES) as shop:
        yield shop


@pytest.fixture
def customer(shop: InProcessShop) -> Iterator[str]:
    """A new customer with one item in the cart; after the test all invariants must hold."""
    customer = f"C{next(_numbers):05}"
    shop.set_stock(SKU, 1000)
    assert shop.put_in_cart(customer, SKU).status == 200
    yield customer
    shop.settle()
    assert violations_in(shop.snapshot()) == []


def at_once(work: Callable[[Any], Any], items: Any) -> list[Any]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, items))


def test_one_key_sent_fifty_times_at_once_is_one_order(shop, customer):
    replies = at_once(lambda _: final_reply(shop, customer, KEY), range(REPEATS))
    assert {reply.status for reply in replies} == {201}
    assert len({reply.body["id"] for reply in replies}) == 1
    assert [reply.body for reply in replies] == [replies[0].body] * REPEATS
    assert sum(not reply.replayed for reply in replies) == 1
    assert shop.check_out(customer, KEY, DECLINED).status == 422
    assert shop.ask(customer, "GET", "/api/orders").body["total"] == 1


def test_one_key_with_two_bodies_at_once_belongs_to_one_of_them(shop, customer):
    cards = [CARD, DECLINED] * (REPEATS // 2)
    replies = at_once(lambda card: final_reply(shop, customer, KEY, card), cards)
    first = 0 if any(reply.status == 201 for reply in replies) else 1
    assert {reply.status for reply in replies[first::2]} == {(201, 402)[first]}
    assert {reply.status for reply in replies[1 - first :: 2]} == {422}


def test_one_cart_is_sold_once_even_with_many_keys_at_once(shop, customer):
    replies = at_once(lambda number: shop.check_out(customer, f"key-{number:08}"), range(10))
    assert [reply.status for reply in replies].count(201) == 1
    assert {reply.problem for reply in replies if reply.status != 201} <= {
        "cart-empty",
        "checkout-in-progress",
    }


@pytest.mark.parametrize("shop", ["split sqlite", "split postgresql"], indirect=True)
def test_a_cart_that_was_read_before_its_order_was_settled_is_not_sold_again(shop, customer):
    """The second checkout begins while the first one sells, and stores its order after the first one has ended."""
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
    assert (second.status, second.problem) == (409, "checkout-in-progress")


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
    assert (second.status, second.problem) == (409, "checkout-in-progress")


@pytest.mark.parametrize("shop", ["split postgresql"], indirect=True)
def test_of_two_checkouts_that_saw_no_other_only_one_is_stored(shop, customer):
    """The first is stored between the second one's last read and its insert; on SQLite nothing can come between."""
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

    engine = shop.app("orders").extensions["database"].engine
    with ThreadPoolExecutor(1) as pool, patch.object(clients, "reserve", wait_and_reserve):
        event.listen(engine, "before_cursor_execute", overtake)
        try:
            second = shop.check_out(customer, "key-00000002")
        finally:
            event.remove(engine, "before_cursor_execute", overtake)
            may_go_on.set()
    assert began[0].result().status == 201
    assert (second.status, second.problem) == (409, "checkout-in-progress")


def is_under_way(shop: InProcessShop, customer: str) -> bool:
    return any(
        order["customer_id"] == customer and order["step"] == "priced" for order in shop.snapshot().orders
    )


def test_the_last_item_is_sold_once_to_many_buyers(shop):
    for turn in range(ROUNDS):
        buyers = [f"C{number + 1:05}" for number in range(BUYERS)]
        key = f"last-{turn:08}"
        for buyer in buyers:
            shop.put_in_cart(buyer, SKU)
        shop.set_stock(SKU, 1)
        replies = at_once(lambda buyer: final_reply(shop, buyer, key), buyers)  # noqa: B023 - used up in this turn
        assert sorted(reply.status for reply in replies) == [201] + [409] * (BUYERS - 1)
        checkouts = [observed(buyer, key, reply) for buyer, reply in zip(buyers, replies, strict=True)]
        shop.settle()
        assert violations_in(shop.snapshot(), checkouts) == []


@pytest.mark.parametrize("shop", ["split sqlite", "split postgresql", "monolith postgresql"], indirect=True)
def test_a_retry_that_read_before_the_first_request_was_stored_gets_its_answer(shop, customer):
    """The whole first request happens between the retry's read and its insert.

    On SQLite the monolith reads and inserts in one transaction, and nothing can come between.
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
def test_a_transaction_that_reads_first_does_not_fail_when_another_writes_meanwhile(shop):
    """With a deferred BEGIN it would fail on SQLite: at once, whatever the timeout is."""
    database = shop.app("inventory").extensions["database"]
    touch = "UPDATE stock SET available = available + 1, received = received + 1"
    with database.writing() as db, closing(sqlite3.connect(database.engine.url.database, timeout=0)) as other:
        db.execute(text("SELECT available FROM stock")).all()
        with suppress(sqlite3.OperationalError):  # it may write later
            other.execute(touch)
            other.commit()
        db.execute(text(touch))


@contextmanager
def overtaken(shop: InProcessShop, overtake: Callable[[], None]) -> Iterator[None]:
    """Call `overtake` after a checkout has looked for an earlier one and before it writes."""
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

    engine = shop.app("orders").extensions["database"].engine
    event.listen(engine, "before_cursor_execute", before)
    yield
    event.remove(engine, "before_cursor_execute", before)


def final_reply(shop: InProcessShop, customer: str, key: str, card: str = CARD) -> Reply:
    """The answer to a client that retries while the checkout is in progress or the shop is busy."""
    for _ in range(20):
        reply = shop.check_out(customer, key, card)
        if reply.is_final:
            return reply
    raise AssertionError(f"no final answer: {reply}")
