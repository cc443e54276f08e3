"""What recommendations knows, whatever happens to the events on their way: exactly what was ordered.

The shops sell through their own checkout, and learn through their own feed and reader; what they should have learnt is
counted from the orders' tables by other means than theirs.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import permutations
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import Engine, text

from microservices.chassis.database import reading, writing
from microservices.chassis.events import FEED_PATH, feed, publish
from microservices.chassis.transport import Answer
from microservices.orders.models import Outbox
from microservices.tests import postgresql
from microservices.tests.boundaries import Crash, installed
from microservices.tests.in_process import Direct
from microservices.tests.shops import InProcess, opened
from microservices.tests.test_races import TOPOLOGIES

CUSTOMERS = [f"C{number:05}" for number in range(1, 7)]
SKUS = [f"P{number:05}" for number in range(1, 9)]
ORDERS = 12


@pytest.fixture(
    scope="module", params=["split sqlite", "monolith sqlite", "split postgresql", "monolith postgresql"]
)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    name, backend = request.param.split()
    with ExitStack() as stack:
        pattern = None
        if backend == "postgresql":
            _, pattern = stack.enter_context(postgresql.databases(TOPOLOGIES[name]))
        yield stack.enter_context(opened(name, tmp_path_factory.mktemp(name), pattern=pattern))


_keys = iter(f"key-{number:08}" for number in range(10_000))


def sell(shop: InProcess, chance: random.Random, orders: int = ORDERS) -> None:
    """Carts of one to four products, some of them twice by the same customer."""
    for _ in range(orders):
        customer = chance.choice(CUSTOMERS)
        for sku in chance.sample(SKUS, chance.randint(1, 4)):
            assert shop.put(customer, sku).status == 200
        assert shop.check_out(customer, next(_keys)).status == 201


def learnt(shop: InProcess) -> dict[str, dict[Any, int]]:
    """What recommendations knows."""
    rows = reader(shop.database("recommendations").engine)
    return {
        "popularity": {row.sku: row.orders for row in rows("SELECT * FROM popularity")},
        "together": {(row.sku, row.other): row.orders for row in rows("SELECT * FROM co_purchases")},
        "bought": {(row.customer_id, row.sku): row.position for row in rows("SELECT * FROM purchases")},
    }


def ordered(shop: InProcess) -> dict[str, dict[Any, int]]:
    """The same, counted from the orders."""
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
def bad_delivery(chance: random.Random) -> Iterator[None]:
    """Each answer of the feed ends at any event, holds all events before it three times, and in any order."""
    send = Direct.send

    def shuffled(self: Direct, method: str, path: str, *rest: Any) -> Answer:
        if not path.startswith(FEED_PATH):
            return send(self, method, path, *rest)
        answer = send(self, method, f"{FEED_PATH}?after=0", *rest)
        events = json.loads(answer.body)["events"]
        events = 3 * events[: chance.randint(0, len(events))]
        chance.shuffle(events)
        return answer._replace(body=json.dumps({"events": events}).encode())

    with patch.object(Direct, "send", shuffled):
        yield


def test_events_that_come_three_times_and_in_any_order_count_once(shop):
    chance = random.Random(4)
    for _ in range(3):
        sell(shop, chance, ORDERS // 3)
        with bad_delivery(chance):
            for _ in range(4):
                shop.work()
    shop.redeliver(chance)
    shop.settle()
    assert learnt(shop) == ordered(shop)


def test_events_count_once_although_several_replicas_learn_while_others_sell(shop):
    with ThreadPoolExecutor(3) as pool:
        sellers = [pool.submit(sell, shop, random.Random(turn), 4) for turn in (1,)]
        learners = [pool.submit(learn_until_quiet, shop, sellers) for _ in range(2)]
        for done in [*sellers, *learners]:
            done.result()
    shop.settle()
    assert learnt(shop) == ordered(shop)


def learn_until_quiet(shop: InProcess, sellers: list[Any]) -> None:
    while not all(seller.done() for seller in sellers):
        shop.work()
    shop.work()


@pytest.mark.parametrize("moment", ["before commit", "after commit"])
def test_events_count_once_although_the_reader_crashed_over_them(shop, moment):
    sell(shop, random.Random(7), 3)
    crashes: list[str] = []

    def die_once(name: str) -> None:
        if name.endswith(moment) and not crashes:
            crashes.append(name)
            raise Crash

    with installed(die_once), suppress(Crash):
        shop.work()
    assert crashes
    shop.settle()
    assert learnt(shop) == ordered(shop)


@pytest.mark.parametrize("shop", ["split sqlite", "split postgresql"], indirect=True)
def test_an_event_does_not_show_before_those_with_a_lower_position(shop):
    """A reader that saw 8 before 7 is there would never come back for 7."""
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
            other.join(0.5)  # it may not come to its end; if it could, it would by now
            with reading() as db:
                assert len(feed(db, Outbox, 0, 500)["events"]) == known
        other.join()
        with reading() as db:
            assert len(feed(db, Outbox, 0, 500)["events"]) == known + 2
