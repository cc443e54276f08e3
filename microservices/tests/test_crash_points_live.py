"""Real processes that kill themselves at a boundary of a checkout; the launcher starts them again.

A few of the boundaries in `make test`, all of them in `make chaos`. Each has a customer of its own and the faults come
one after the other without waiting for the end of the last one: what they left is looked at when all is over.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from microservices.chaos.invariants import Told, broken_in
from microservices.launcher.replica import Phase
from microservices.tests.conftest import wait_until
from microservices.tests.live import Live, running
from microservices.tests.shops import CARD, DECLINED, Reply
from microservices.tests.test_crash_points import BOUNDARIES
from monolith.dataset import Sizes

pytestmark = pytest.mark.processes

SIZES = Sizes(seed=1, products=40, customers=80, orders=10)
SKU = "P00001"
SETTLED_SECONDS = 30.0
FEW = {
    "split": [
        (CARD, "orders.place: after commit (2)"),
        (DECLINED, "payments.refund: after commit"),
    ],
    "monolith": [(CARD, "orders.place: after commit")],
}
ALL = {
    shop: [
        (card, point)
        for (name, card), points in BOUNDARIES.items()
        if name == shop
        for point in points
        if point
    ]
    for shop in FEW
}


@pytest.fixture(params=["split", "monolith"])
def shop(request: pytest.FixtureRequest, tmp_path) -> Iterator[Live]:
    with running(request.param, tmp_path, sizes=SIZES) as shop:
        yield shop


def test_a_few_kills_lose_nothing(shop):
    survive(shop, FEW[shop.name], shop.pass_time)


@pytest.mark.full
def test_a_kill_at_each_boundary_loses_nothing(shop):
    survive(shop, ALL[shop.name], lambda: None)


def survive(shop: Live, crashes: list[tuple[str, str]], and_then: Callable[[], None]) -> None:
    before = shop.look()
    sent = [buy_and_die(shop, number, *crash) for number, crash in enumerate(crashes)]
    assert len(shop.fleet.died) == len(crashes), shop.fleet.died
    and_then()
    told = [one.told for one in sent] + [learn(shop, one) for one in sent]
    wait_until(lambda: broken_in(shop.look(), told, before) == [], SETTLED_SECONDS)


@dataclass(frozen=True)
class Sent:
    """A checkout during which a process killed itself."""

    told: Told
    card: str


def buy_and_die(shop: Live, number: int, card: str, point: str) -> Sent:
    """Buy, with keys of their own, until it happens: a shop that was hurt before may refuse at first."""
    wait_until(lambda: all(one.phase is Phase.READY for one in shop.fleet.members()), 30.0)
    customer, deaths = f"C{number + 1:05}", len(shop.fleet.died)
    shop.crash_at.write_text(point)
    deadline = time.monotonic() + SETTLED_SECONDS
    for attempt in itertools.count():
        shop.ask(customer, "PUT", f"/api/cart/items/{SKU}", {"quantity": 1})
        key = f"key-{attempt:08}"
        reply = shop.check_out(customer, key, card)
        if not shop.crash_at.exists():
            wait_until(lambda: len(shop.fleet.died) > deaths)
            return Sent(told(customer, key, reply), card)
        assert time.monotonic() < deadline, f"nobody comes to {point}: {reply}"
    raise AssertionError


def learn(shop: Live, sent: Sent) -> Told:
    """The one true outcome, asked for until it is told."""
    earlier, deadline = sent.told, time.monotonic() + SETTLED_SECONDS
    while True:
        reply = shop.check_out(earlier.customer_id, earlier.key, sent.card)
        if reply is not None and (reply.replayed or reply.status in {201, 402}):
            assert reply.status != (402 if sent.card == CARD else 201)
            assert earlier.status == reply.status or earlier.status not in {201, 402}
            return told(earlier.customer_id, earlier.key, reply)
        assert time.monotonic() < deadline, f"nobody says what became of it: {reply}"
        time.sleep(0.1)


def told(customer: str, key: str, reply: Reply | None) -> Told:
    order = reply.body if reply is not None and reply.status == 201 else None
    return Told(customer, key, reply.status if reply else None, order)
