"""A crash at every boundary of a checkout: before and after each commit, each call and each charge of a card.

The list below is checked against what a checkout passes, so a new commit or call has to be added here. Everything
happens in this process, and a crash is an exception that nobody catches; test_crash_points_live.py kills processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from microservices.chaos.invariants import Shop, Told, broken_in
from microservices.tests.boundaries import Crash, installed
from microservices.tests.shops import CARD, DECLINED, InProcess, Reply, opened

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
IN_ONE_BLOCK = """
orders.place: before charge
orders.place: after charge
orders.place: before commit
orders.place: after commit
"""
REFUSED_IN_ONE_BLOCK = """
orders.place: before charge
orders.place: before commit
orders.place: after commit
"""
BOUNDARIES = {
    ("split", CARD): (BEGIN + CONFIRM).split("\n"),
    ("split", DECLINED): (BEGIN + UNDO).split("\n"),
    ("monolith", CARD): IN_ONE_BLOCK.split("\n"),
    ("monolith", DECLINED): REFUSED_IN_ONE_BLOCK.split("\n"),
}
CRASHES = [(*which, point) for which, points in BOUNDARIES.items() for point in points if point]


class Killer:
    """Crashes once, at the boundary with this name; remembers those that were passed."""

    def __init__(self, point: str = "") -> None:
        self.point, self.passed = point, list[str]()

    def __call__(self, name: str) -> None:
        self.passed.append(name)
        if name == self.point:
            self.point = ""
            raise Crash


class Overtaker(Killer):
    """Has another replica finish everything, once, at the boundary with this name."""

    def __init__(self, point: str, shop: InProcess) -> None:
        super().__init__(point)
        self.shop = shop

    def __call__(self, name: str) -> None:
        with suppress(Crash):
            super().__call__(name)
            return
        self.shop.settle()


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, InProcess]]:
    with (
        opened("split", tmp_path_factory.mktemp("split")) as split,
        opened("monolith", tmp_path_factory.mktemp("monolith")) as monolith,
    ):
        yield {"split": split, "monolith": monolith}


def ready(shop: InProcess) -> InProcess:
    """The shop as it was at first, with two pieces in the customer's cart."""
    shop.rewind()
    assert shop.put(CUSTOMER, SKU, 2).status == 200
    return shop


def attempt(shop: InProcess, card: str, killer: Killer) -> Reply | None:
    """What the customer is answered; None when the process that was asked crashed."""
    with installed(killer):
        try:
            return shop.check_out(CUSTOMER, KEY, card)
        except Crash:
            return None
        finally:
            shop.forget()


def told(reply: Reply | None) -> Told:
    status = reply.status if reply else None
    return Told(CUSTOMER, KEY, status, reply.body if reply and status == 201 else None)


@pytest.mark.parametrize(("name", "card"), BOUNDARIES)
def test_these_are_all_boundaries_of_a_checkout(shops, name, card):
    killer = Killer()
    reply = attempt(ready(shops[name]), card, killer)
    assert reply is not None
    assert reply.status == (201 if card == CARD else 402)
    assert killer.passed == [point for point in BOUNDARIES[name, card] if point]


@pytest.mark.parametrize(("name", "card", "point"), CRASHES)
def test_a_crash_loses_nothing_and_the_repeat_learns_the_one_outcome(shops, name, card, point):
    shop = ready(shops[name])
    before = shop.look()
    killer = Killer(point)
    first = attempt(shop, card, killer)
    assert not killer.point, "it did not crash"

    shop.settle()
    assert broken_in(shop.look(), [told(first)], before) == []

    again = shop.check_out(CUSTOMER, KEY, card)
    shop.settle()
    assert again.status in ({201, 503} if card == CARD else {402, 503})
    if first is not None:
        assert (again.status, again.body) == (first.status, first.body)
    assert broken_in(shop.look(), [told(first), told(again)], before) == []
    assert shop.check_out(CUSTOMER, KEY, card).body == again.body
    confirmed = [order for order in shop.look().orders if order["key"] == KEY and order["step"] == "settled"]
    assert len(confirmed) == (again.status == 201)
    if again.status == 201:
        assert shop.ask(CUSTOMER, "GET", "/api/cart").body["items"] == []


@pytest.mark.parametrize("card", [CARD, DECLINED])
def test_whoever_is_taken_for_dead_and_goes_on_undoes_nothing_of_what_was_decided(shops, card):
    """At each boundary another replica takes the checkout over, as if the lease had run out, and finishes it first."""
    for point in BOUNDARIES["split", card]:
        if point and "before commit" not in point:  # in a transaction nobody else can write
            shop = ready(shops["split"])
            before = shop.look()
            reply = attempt(shop, card, Overtaker(point, shop))
            shop.settle()
            again = shop.check_out(CUSTOMER, KEY, card)
            shop.settle()
            assert broken_in(shop.look(), [told(reply), told(again)], before) == [], point
            assert reply is not None
            assert (reply.status, reply.body) == (again.status, again.body), point


LEFT_BEHIND = {
    "nothing asked for": (CARD, "orders.place: after commit"),
    "stock and money held": (CARD, "orders.place: before commit (2)"),
    "confirmed": (CARD, "orders.place: after commit (2)"),
    "refused": (DECLINED, "orders.place: after commit (2)"),
}


@pytest.mark.parametrize("state", LEFT_BEHIND)
def test_whoever_takes_a_checkout_over_may_crash_at_any_boundary_as_well(shops, state):
    shop, (card, point) = shops["split"], LEFT_BEHIND[state]
    survivor = Killer()
    leave(shop, card, point)
    take_over(shop, survivor)
    assert len(survivor.passed) > 8
    for second in survivor.passed:
        before = leave(shop, card, point)
        take_over(shop, Killer(second))
        shop.settle()
        again = shop.check_out(CUSTOMER, KEY, card)
        assert again.status == (201 if state == "confirmed" else 402 if state == "refused" else 503)
        assert broken_in(shop.look(), [told(again)], before) == [], second


def leave(shop: InProcess, card: str, point: str) -> Shop:
    """Crash there; what the databases held before."""
    ready(shop)
    before = shop.look()
    assert attempt(shop, card, Killer(point)) is None
    return before


def take_over(shop: InProcess, killer: Killer) -> None:
    """What another replica does about it, until it crashes too."""
    with installed(killer), suppress(Crash):
        shop.settle()
    shop.forget()
