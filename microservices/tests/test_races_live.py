"""The last piece and the same key again, against real processes: two hundred buyers, twenty times, two replicas.

Part of `make chaos`. A buyer is patient, as docs/api.md says: whoever is told that the shop is busy asks again with
the same key, and takes a new one when the refusal is final.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from microservices.chaos.invariants import Shop, Told, broken_in
from microservices.tests import postgresql
from microservices.tests.conftest import wait_until
from microservices.tests.live import TOPOLOGIES, Live, running
from microservices.tests.shops import DECLINED, Reply
from monolith.dataset import Sizes

pytestmark = [pytest.mark.processes, pytest.mark.full]

BUYERS, ROUNDS, REPEATS = 200, 20, 50
SIZES = Sizes(seed=1, products=40, customers=BUYERS + 1, orders=10)
REPLICAS = {"split": {"orders": 2, "inventory": 2}, "monolith": {"monolith": 2}}
SKU, FIRST = "P00001", f"C{BUYERS + 1:05}"
SETTLED_SECONDS, PATIENCE_SECONDS = 30.0, 120.0


@pytest.fixture(
    scope="module", params=["split sqlite", "monolith sqlite", "split postgresql", "monolith postgresql"]
)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    name, backend = request.param.split()
    with ExitStack() as stack:
        pattern, settings = None, {}
        if backend == "postgresql":
            _, pattern = stack.enter_context(postgresql.databases(TOPOLOGIES[name]))
            settings = {"SHOP_THREADS": "3"}  # the server has a hundred connections for everybody
        yield stack.enter_context(
            running(
                name,
                tmp_path_factory.mktemp(name),
                sizes=SIZES,
                pattern=pattern,
                replicas=REPLICAS[name],
                **settings,
            )
        )


def test_one_key_sent_fifty_times_at_once_to_two_replicas_is_one_order(shop):
    stock(shop, 5)
    put(shop, FIRST)
    told: list[Told] = []
    with ThreadPoolExecutor(REPEATS) as pool:
        replies = list(pool.map(lambda _: decided(shop, FIRST, "key-00000001", told), range(REPEATS)))
    assert {reply.status for reply in replies} == {201}
    assert [reply.body for reply in replies] == [replies[0].body] * REPEATS
    other = shop.check_out(FIRST, "key-00000001", DECLINED)
    assert other is not None
    assert other.status == 422
    look = settled(shop, told)
    assert (
        len(
            [
                order
                for order in look.orders
                if order["key"] == "key-00000001" and order["customer_id"] == FIRST
            ]
        )
        == 1
    )


def test_the_last_piece_is_sold_once_to_two_hundred_twenty_times(shop, record_property):
    buyers, told, started = (
        [f"C{number:05}" for number in range(1, BUYERS + 1)],
        list[Told](),
        time.monotonic(),
    )
    with ThreadPoolExecutor(BUYERS) as pool:
        for turn in range(ROUNDS):
            stock(shop, 0)
            list(pool.map(lambda buyer: put(shop, buyer), buyers))
            stock(shop, 1)
            before = confirmed(shop.look())
            replies = list(pool.map(lambda buyer: buy(shop, buyer, turn, told), buyers))  # noqa: B023 - used up here
            assert sorted(reply.status for reply in replies) == [201] + [409] * (BUYERS - 1)
            assert len(confirmed(settled(shop, told)) - before) == 1
    record_property("seconds", round(time.monotonic() - started))


def buy(shop: Live, buyer: str, turn: int, told: list[Told]) -> Reply:
    """What the buyer is told in the end: 201, or 409 because there is none left."""
    for attempt in itertools.count():
        reply = decided(shop, buyer, f"turn-{turn:04}-{attempt:04}", told)
        if reply.status < 500:
            assert reply.status == 201 or reply.body["type"] == "/problems/out-of-stock", reply
            return reply
    raise AssertionError


def decided(shop: Live, buyer: str, key: str, told: list[Told]) -> Reply:
    """The final answer to this key."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        reply = shop.check_out(buyer, key)
        told.append(told_by(buyer, key, reply))
        if reply is not None and (reply.replayed or reply.status in {201, 402} or is_final(reply)):
            return reply
        assert time.monotonic() < deadline, reply
        time.sleep(0.1)


def is_final(reply: Reply) -> bool:
    return reply.status == 409 and reply.body["type"] != "/problems/checkout-in-progress"


def told_by(customer: str, key: str, reply: Reply | None) -> Told:
    order: Any = reply.body if reply is not None and reply.status == 201 else None
    return Told(customer, key, reply.status if reply else None, order)


def put(shop: Live, customer: str) -> None:
    def is_in() -> bool:
        reply = shop.ask(customer, "PUT", f"/api/cart/items/{SKU}", {"quantity": 1})
        return reply is not None and reply.status == 200

    wait_until(is_in, PATIENCE_SECONDS)


def stock(shop: Live, available: int) -> None:
    def is_set() -> bool:
        reply = shop.ask("admin", "PUT", f"/api/inventory/{SKU}", {"available": available})
        return reply is not None and reply.status == 200

    wait_until(is_set, PATIENCE_SECONDS)


def confirmed(look: Shop) -> set[str]:
    return {order["id"] for order in look.confirmed()}


def settled(shop: Live, told: list[Told]) -> Shop:
    wait_until(lambda: broken_in(shop.look(), told) == [], SETTLED_SECONDS)
    return shop.look()
