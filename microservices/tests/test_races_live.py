"""The last item and one key for many requests, against real processes: 200 buyers, 20 rounds, two replicas.

Part of `make chaos`. Buyers retry as docs/api.md says: with the same key while the shop is busy, and with a new key
after a final refusal.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from microservices.chaos.snapshot import ObservedCheckout, Snapshot
from microservices.tests.live import LiveShop, running_shop
from microservices.tests.postgresql import pattern_for
from microservices.tests.shops import BOTH_DATABASES, DECLINED, Reply
from monolith.dataset import Sizes

pytestmark = [pytest.mark.processes, pytest.mark.full]

BUYERS, ROUNDS, REPEATS = 200, 20, 50
SIZES = Sizes(seed=1, products=40, customers=BUYERS + 1, orders=10)
REPLICAS = {"split": {"orders": 2, "inventory": 2}, "monolith": {"monolith": 2}}
SKU, KEY, FIRST = "P00001", "key-00000001", f"C{BUYERS + 1:05}"
SETTLED_SECONDS = 30.0


@pytest.fixture(scope="module", params=BOTH_DATABASES)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveShop]:
    name, backend = request.param.split()
    home = tmp_path_factory.mktemp(name)
    with pattern_for(name, backend) as pattern:
        # Few threads on PostgreSQL, because all tests share the server's hundred connections.
        settings = {"SHOP_THREADS": "3"} if pattern else {}
        with running_shop(
            name, home, sizes=SIZES, pattern=pattern, replicas=REPLICAS[name], **settings
        ) as shop:
            yield shop


def test_one_key_sent_fifty_times_at_once_to_two_replicas_is_one_order(shop):
    shop.set_stock(SKU, 5)
    shop.put_in_cart(FIRST, SKU)
    checkouts: list[ObservedCheckout] = []
    with ThreadPoolExecutor(REPEATS) as pool:
        replies = list(pool.map(lambda _: shop.final_reply(FIRST, KEY, checkouts=checkouts), range(REPEATS)))
    assert {reply.status for reply in replies} == {201}
    assert [reply.body for reply in replies] == [replies[0].body] * REPEATS
    other = shop.check_out(FIRST, KEY, DECLINED)
    assert other is not None
    assert other.status == 422
    orders = shop.settle(checkouts, SETTLED_SECONDS).orders
    assert [(one["key"], one["customer_id"]) for one in orders].count((KEY, FIRST)) == 1


def test_the_last_item_is_sold_once_to_two_hundred_buyers_in_each_of_twenty_rounds(shop, record_property):
    buyers = [f"C{number:05}" for number in range(1, BUYERS + 1)]
    checkouts, started = list[ObservedCheckout](), time.monotonic()
    with ThreadPoolExecutor(BUYERS) as pool:
        for turn in range(ROUNDS):
            shop.set_stock(SKU, 0)
            list(pool.map(lambda buyer: shop.put_in_cart(buyer, SKU), buyers))
            shop.set_stock(SKU, 1)
            before = confirmed(shop.snapshot())
            replies = list(pool.map(lambda buyer: buy(shop, buyer, turn, checkouts), buyers))  # noqa: B023 - used up here
            assert sorted(reply.status for reply in replies) == [201] + [409] * (BUYERS - 1)
            assert len(confirmed(shop.settle(checkouts, SETTLED_SECONDS)) - before) == 1
    record_property("seconds", round(time.monotonic() - started))


def buy(shop: LiveShop, buyer: str, turn: int, checkouts: list[ObservedCheckout]) -> Reply:
    """The final answer to the buyer: 201, or 409 because the product is out of stock."""
    for attempt in itertools.count():
        reply = shop.final_reply(buyer, f"turn-{turn:04}-{attempt:04}", checkouts=checkouts)
        if reply.status < 500:
            assert reply.status == 201 or reply.problem == "out-of-stock", reply
            return reply
    raise AssertionError


def confirmed(snapshot: Snapshot) -> set[str]:
    return {order["id"] for order in snapshot.confirmed()}
