"""Recommendations learns exactly what was ordered, whatever happens to the events on their way.

The shops sell with their own checkout, and learn with their own feed and reader. The expected result is counted from
the tables of orders by other code.
"""

from __future__ import annotations

import json
import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from itertools import permutations
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import requests
from sqlalchemy import Engine, text

from microservices.chassis.database import reading, writing
from microservices.chassis.events import FEED_PATH, feed, publish
from microservices.orders.models import Outbox
from microservices.tests.boundaries import Crash, installed
from microservices.tests.in_process import Direct
from microservices.tests.one_service import answer
from microservices.tests.shops import BOTH_DATABASES, InProcessShop, shop_on

CUSTOMERS = [f"C{number:05}" for number in range(1, 7)]
SKUS = [f"P{number:05}" for number in range(1, 9)]
ORDERS = 12


@pytest.fixture(scope="module", params=BOTH_DATABASES)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessShop]:
    with shop_on(request.param, tmp_path_factory.mktemp("shop")) as shop:
        yield shop


_keys = iter(f"key-{number:08}" for number in range(10_000))


def sell(shop: InProcessShop, rng: random.Random, orders: int = ORDERS) -> None:
    """Sell carts of one to four products; customers may buy more than once."""
    for _ in range(orders):
        customer = rng.choice(CUSTOMERS)
        for sku in rng.sample(SKUS, rng.randint(1, 4)):
            assert shop.put_in_cart(customer, sku).status == 200
        assert shop.check_out(customer, next(_keys)).status == 201


def learnt(shop: InProcessShop) -> dict[str, dict[Any, int]]:
    """What recommendations has learnt."""
    rows = reader(shop.database("recommendations").engine)
    return {
        "popularity": {row.sku: row.orders for row in rows("SELECT * FROM popularity")},
        "together": {(row.sku, row.other): row.orders for row in rows("SELECT * FROM co_purchases")},
        "bought": {(row.customer_id, row.sku): row.position for row in rows("SELECT * FROM purchases")},
    }


def ordered(shop: InProcessShop) -> dict[str, dict[Any, int]]:
    """What it should have learnt, counted from the orders."""
    rows = reader(shop.database("orders").engine)
    step = "step IN ('paid', 'settled')" if shop.name == "split" else "status = 'confirmed'"
    orders = {
        row.number: row.customer_id for row in rows(f"SELECT number, customer_id FROM orders WHERE {step}")
    }
    baskets: dict[int, list[str]] = {number: [] for number in orders}
    for row in rows("SELECT order_number, sku FROM order_lines"):
        if row.order_number in baskets:
            baskets[row.order_number].append(row.sku)
    bought: dict[Any, int] = {}
    for number in sorted(orders):
        bought.update({(orders[number], sku): number for sku in baskets[number]})
    return {
        "popularity": Counter(sku for basket in baskets.values() for sku in basket),
        "together": Counter(pair for basket in baskets.values() for pair in permutations(basket, 2)),
        "bought": bought,
    }


def reader(engine: Engine) -> Callable[[str], list[Any]]:
    def rows(query: str) -> list[Any]:
        with engine.connect() as db:
            return list(db.execute(text(query)))

    return rows


@contextmanager
def bad_delivery(rng: random.Random) -> Iterator[None]:
    """Each answer of the feed has the events up to a random one, each three times, in random order."""
    send = Direct.send

    def shuffled(self: Direct, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        if request.path_url.partition("?")[0] != FEED_PATH:
            return send(self, request, **options)
        request.prepare_url(str(request.url).partition("?")[0], {"after": 0})
        events = send(self, request, **options).json()["events"]
        events = 3 * events[: rng.randint(0, len(events))]
        rng.shuffle(events)
        return answer(200, "application/json", json.dumps({"events": events}).encode())

    with patch.object(Direct, "send", shuffled):
        yield


def test_events_that_are_delivered_three_times_in_any_order_count_once(shop):
    rng = random.Random(4)
    for _ in range(3):
        sell(shop, rng, ORDERS // 3)
        with bad_delivery(rng):
            for _ in range(4):
                shop.run_loops()
    shop.redeliver(rng)
    shop.settle()
    assert learnt(shop) == ordered(shop)


def test_events_count_once_when_several_replicas_learn_while_orders_are_sold(shop):
    with ThreadPoolExecutor(3) as pool:
        sellers = [pool.submit(sell, shop, random.Random(turn), 4) for turn in (1,)]
        learners = [pool.submit(learn_until_quiet, shop, sellers) for _ in range(2)]
        for done in [*sellers, *learners]:
            done.result()
    shop.settle()
    assert learnt(shop) == ordered(shop)


def learn_until_quiet(shop: InProcessShop, sellers: list[Any]) -> None:
    while not all(seller.done() for seller in sellers):
        shop.run_loops()
    shop.run_loops()


@pytest.mark.parametrize("moment", ["before commit", "after commit"])
def test_events_count_once_after_the_reader_crashed(shop, moment):
    sell(shop, random.Random(7), 3)
    crashes: list[str] = []

    def crash_once(name: str) -> None:
        if name.endswith(moment) and not crashes:
            crashes.append(name)
            raise Crash

    with installed(crash_once), suppress(Crash):
        shop.run_loops()
    assert crashes
    shop.settle()
    assert learnt(shop) == ordered(shop)


@pytest.mark.parametrize("shop", ["split sqlite"], indirect=True)
def test_after_an_older_copy_of_orders_is_restored_each_order_counts_once(shop, tmp_path):
    rng = random.Random(5)
    file, copy = Path(shop.database("orders").engine.url.database), tmp_path / "older.sqlite3"
    sell(shop, rng, 2)
    shop.settle()
    copy_database(file, copy)
    sell(shop, rng, 4)
    shop.settle()
    copy_database(copy, file)
    sell(shop, rng, 2)
    shop.settle()
    assert learnt(shop) == ordered(shop)


def copy_database(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


@pytest.mark.parametrize("shop", ["split sqlite", "split postgresql"], indirect=True)
def test_an_event_is_not_visible_before_those_with_a_lower_position(shop):
    """A reader that sees event 8 before event 7 is stored would never read event 7."""
    app = shop.app("orders")

    def publish_another() -> None:
        with app.app_context(), writing() as db:
            publish(db, Outbox, "nothing", {})

    other = threading.Thread(target=publish_another)
    with app.app_context():
        with reading() as db:
            known = len(feed(db, Outbox, 0, 500)["events"])
        with writing() as first:
            publish(first, Outbox, "nothing", {})
            other.start()
            other.join(0.5)  # it must not finish; if it could, it would have by now
            with reading() as db:
                assert len(feed(db, Outbox, 0, 500)["events"]) == known
        other.join()
        with reading() as db:
            assert len(feed(db, Outbox, 0, 500)["events"]) == known + 2
