"""A crash at every boundary of a checkout: before and after each commit, each call and each charge of a card.

The list below is compared with the boundaries that a checkout passes, so a new commit or call has to be added here. All
runs in this process, and a crash is an exception that no code catches; test_crash_points_live.py kills processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from microservices.chaos.invariants import violations_in
from microservices.chaos.snapshot import ObservedCheckout, Snapshot
from microservices.tests.boundaries import Crash, installed
from microservices.tests.shops import CARD, DECLINED, InProcessShop, Reply, observed, shop_in_process

CUSTOMER, SKU, KEY = "C00001", "P00001", "key-00000001"
BEGIN = """
orders.place: before GET /internal/carts/*
orders.place: after GET /internal/carts/*
orders.place: before GET /api/products
orders.place: after GET /api/products
orders.place: before commit
orders.place: after commit
orders.place: before POST /internal/reservations
inventory.reserve: before commit
inventory.reserve: after commit
orders.place: after POST /internal/reservations
orders.place: before POST /internal/payments
payments.capture: before charge
"""
CONFIRM = """
payments.capture: after charge
payments.capture: before commit
payments.capture: after commit
orders.place: after POST /internal/payments
orders.place: before commit (2)
orders.place: after commit (2)
orders.place: before POST /internal/reservations/*/commit
inventory.commit: before commit
inventory.commit: after commit
orders.place: after POST /internal/reservations/*/commit
orders.place: before POST /internal/carts/*/checked-out
cart.checked_out: before commit
cart.checked_out: after commit
orders.place: after POST /internal/carts/*/checked-out
orders.place: before commit (3)
orders.place: after commit (3)
"""
UNDO = """
orders.place: after POST /internal/payments
orders.place: before commit (2)
orders.place: after commit (2)
orders.place: before POST /internal/payments/*/refund
payments.refund: before commit
payments.refund: after commit
orders.place: after POST /internal/payments/*/refund
orders.place: before POST /internal/reservations/*/release
inventory.release: before commit
inventory.release: after commit
orders.place: after POST /internal/reservations/*/release
orders.place: before commit (3)
orders.place: after commit (3)
"""
IN_THE_MONOLITH = """
orders.place: before charge
orders.place: after charge
orders.place: before commit
orders.place: after commit
"""
REFUSED_IN_THE_MONOLITH = """
orders.place: before charge
orders.place: before commit
orders.place: after commit
"""
BOUNDARIES = {
    ("split", CARD): (BEGIN + CONFIRM).split("\n"),
    ("split", DECLINED): (BEGIN + UNDO).split("\n"),
    ("monolith", CARD): IN_THE_MONOLITH.split("\n"),
    ("monolith", DECLINED): REFUSED_IN_THE_MONOLITH.split("\n"),
}
CRASHES = [(*which, point) for which, points in BOUNDARIES.items() for point in points if point]


class Killer:
    """Crashes once, at the boundary with this name; records all boundaries that were passed."""

    def __init__(self, point: str = "") -> None:
        self.point, self.passed = point, list[str]()

    def __call__(self, name: str) -> None:
        self.passed.append(name)
        if name == self.point:
            self.point = ""
            raise Crash


class Overtaker(Killer):
    """Lets another replica finish everything, once, at the boundary with this name."""

    def __init__(self, point: str, shop: InProcessShop) -> None:
        super().__init__(point)
        self.shop = shop

    def __call__(self, name: str) -> None:
        with suppress(Crash):
            super().__call__(name)
            return
        self.shop.settle()


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, InProcessShop]]:
    with (
        shop_in_process("split", tmp_path_factory.mktemp("split")) as split,
        shop_in_process("monolith", tmp_path_factory.mktemp("monolith")) as monolith,
    ):
        yield {"split": split, "monolith": monolith}


def ready(shop: InProcessShop) -> InProcessShop:
    """The restored shop, with two items in the customer's cart."""
    shop.restore_databases()
    assert shop.put_in_cart(CUSTOMER, SKU, 2).status == 200
    return shop


def attempt(shop: InProcessShop, card: str, killer: Killer) -> Reply | None:
    """The customer's answer; None when the process that took the request crashed."""
    with installed(killer):
        try:
            return shop.check_out(CUSTOMER, KEY, card)
        except Crash:
            return None
        finally:
            shop.reset_memory()


def known(reply: Reply | None) -> ObservedCheckout:
    return observed(CUSTOMER, KEY, reply)


@pytest.mark.parametrize(("name", "card"), BOUNDARIES)
def test_the_list_has_all_boundaries_of_a_checkout(shops, name, card):
    killer = Killer()
    reply = attempt(ready(shops[name]), card, killer)
    assert reply is not None
    assert reply.status == (201 if card == CARD else 402)
    assert killer.passed == [point for point in BOUNDARIES[name, card] if point]


@pytest.mark.parametrize(("name", "card", "point"), CRASHES)
def test_after_a_crash_nothing_is_lost_and_the_retry_gets_the_outcome(shops, name, card, point):
    shop = ready(shops[name])
    before = shop.snapshot()
    killer = Killer(point)
    first = attempt(shop, card, killer)
    assert not killer.point, "it did not crash"

    shop.settle()
    assert violations_in(shop.snapshot(), [known(first)], before) == []

    again = shop.check_out(CUSTOMER, KEY, card)
    shop.settle()
    assert again.status in ({201, 503} if card == CARD else {402, 503})
    if first is not None:
        assert (again.status, again.body) == (first.status, first.body)
    assert violations_in(shop.snapshot(), [known(first), known(again)], before) == []
    assert shop.check_out(CUSTOMER, KEY, card).body == again.body
    confirmed = [
        order for order in shop.snapshot().orders if order["key"] == KEY and order["step"] == "settled"
    ]
    assert len(confirmed) == (again.status == 201)
    if again.status == 201:
        assert shop.ask(CUSTOMER, "GET", "/api/cart").body["items"] == []


@pytest.mark.parametrize("card", [CARD, DECLINED])
def test_a_replica_that_goes_on_after_its_checkout_was_taken_over_changes_nothing(shops, card):
    """At each boundary another replica takes the checkout over, as if the lease had expired, and finishes it first."""
    for point in BOUNDARIES["split", card]:
        if point and "before commit" not in point:  # inside a transaction no other replica can write
            shop = ready(shops["split"])
            before = shop.snapshot()
            reply = attempt(shop, card, Overtaker(point, shop))
            shop.settle()
            again = shop.check_out(CUSTOMER, KEY, card)
            shop.settle()
            assert violations_in(shop.snapshot(), [known(reply), known(again)], before) == [], point
            assert reply is not None
            assert (reply.status, reply.body) == (again.status, again.body), point


LEFT_BEHIND = {
    "nothing reserved or captured": (CARD, "orders.place: after commit"),
    "stock reserved and money captured": (CARD, "orders.place: before commit (2)"),
    "confirmed": (CARD, "orders.place: after commit (2)"),
    "refused": (DECLINED, "orders.place: after commit (2)"),
}


@pytest.mark.parametrize("state", LEFT_BEHIND)
def test_the_replica_that_takes_a_checkout_over_may_crash_at_any_boundary_too(shops, state):
    shop, (card, point) = shops["split"], LEFT_BEHIND[state]
    recovery = Killer()
    crash(shop, card, point)
    take_over(shop, recovery)
    assert len(recovery.passed) > 8
    for second in recovery.passed:
        before = crash(shop, card, point)
        take_over(shop, Killer(second))
        shop.settle()
        again = shop.check_out(CUSTOMER, KEY, card)
        assert again.status == (201 if state == "confirmed" else 402 if state == "refused" else 503)
        assert violations_in(shop.snapshot(), [known(again)], before) == [], second


def crash(shop: InProcessShop, card: str, point: str) -> Snapshot:
    """Crash at this boundary; returns the databases before."""
    ready(shop)
    before = shop.snapshot()
    assert attempt(shop, card, Killer(point)) is None
    return before


def take_over(shop: InProcessShop, killer: Killer) -> None:
    """Let another replica finish the checkout, until it crashes too."""
    with installed(killer), suppress(Crash):
        shop.settle()
    shop.reset_memory()
