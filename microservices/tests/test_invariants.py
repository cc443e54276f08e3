"""The invariants find what is wrong: a correct shop has no violations, and each kind of damage has its own."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from microservices.chaos.invariants import INVARIANTS, answers_match_orders, stock_adds_up
from microservices.chaos.snapshot import ObservedCheckout, Snapshot

ORDER = {"number": 1, "id": "o1", "customer_id": "ada", "key": "key-1", "step": "settled", "total_cents": 500}
CORRECT = Snapshot(
    orders=[
        ORDER,
        {"number": 2, "id": "o2", "customer_id": "ada", "key": "key-2", "step": "undone", "total_cents": 500},
    ],
    order_lines=[
        {"order_number": 1, "sku": "P1", "quantity": 2},
        {"order_number": 2, "sku": "P1", "quantity": 2},
    ],
    outbox=[{"position": 1, "data": {"order_id": "o1"}}],
    stock={"P1": {"received": 10, "available": 8, "reserved": 0, "sold": 2}},
    reservations={"o1": "committed", "o2": "released"},
    reserved_lines=[
        {"order_id": "o1", "sku": "P1", "quantity": 2},
        {"order_id": "o2", "sku": "P1", "quantity": 2},
    ],
    payments={
        "o1": {"captured_cents": 500, "refunded_cents": 0},
        "o2": {"captured_cents": 500, "refunded_cents": 500},
    },
    popularity={"P1": 1},
    feed_position=1,
)
CHECKOUTS = [
    ObservedCheckout("ada", "key-1", 201, ORDER),
    ObservedCheckout("ada", "key-2", 402),
    ObservedCheckout("ada", "key-3", None),
]


def damaged(part, where, value):
    """The correct shop with one value changed."""
    whole = copy.deepcopy(getattr(CORRECT, part))
    *path, last = where
    place = whole
    for step in path:
        place = place[step]
    place[last] = value
    return replace(CORRECT, **{part: whole})


def violated(snapshot, checkouts=CHECKOUTS):
    """The names of the invariants that do not hold."""
    found = {name: list(check(snapshot)) for name, check in INVARIANTS.items()}
    found["I3"] = list(answers_match_orders(snapshot, checkouts))
    return {name for name, sentences in found.items() if sentences}


def test_a_correct_shop_violates_no_invariant():
    assert violated(CORRECT) == set()
    assert list(stock_adds_up(CORRECT, CORRECT)) == []


@pytest.mark.parametrize(
    ("part", "where", "value", "name"),
    [
        ("stock", ("P1", "available"), 7, "I1"),
        ("stock", ("P1", "reserved"), 1, "I1"),
        ("stock", ("P1", "sold"), -2, "I1"),
        ("payments", ("o1", "captured_cents"), 499, "I2"),
        ("payments", ("o1", "refunded_cents"), 500, "I2"),
        ("payments", ("o2", "refunded_cents"), 0, "I2"),
        ("payments", ("o3",), {"captured_cents": 1, "refunded_cents": 0}, "I2"),
        ("orders", (1, "key"), "key-1", "I3"),
        ("orders", (0, "id"), "other", "I3"),
        ("orders", (0, "step"), "undone", "I3"),
        ("orders", (1, "step"), "settled", "I3"),
        ("orders", (0, "step"), "paid", "I4"),
        ("orders", (1, "step"), "priced", "I4"),
        ("reservations", ("o1",), "reserved", "I4"),
        ("reservations", ("o1",), "released", "I4"),
        ("reservations", ("o2",), "committed", "I4"),
        ("outbox", (0, "position"), 2, "I6"),
        ("outbox", (0, "data"), {"order_id": "o2"}, "I6"),
        ("popularity", ("P1",), 2, "I6"),
        ("popularity", ("P2",), 1, "I6"),
    ],
)
def test_damage_violates_its_invariant(part, where, value, name):
    assert name in violated(damaged(part, where, value))


def test_stock_that_was_never_received_is_found():
    more = damaged("stock", ("P1",), {"received": 11, "available": 9, "reserved": 0, "sold": 2})
    assert violated(more) == set()
    assert list(stock_adds_up(more, CORRECT)) == ["P1: 10 were received before, 11 now."]


def test_an_unfinished_checkout_may_hold_stock_and_money():
    unfinished = replace(
        CORRECT,
        orders=[ORDER, {**CORRECT.orders[1], "step": "priced"}],
        stock={"P1": {"received": 10, "available": 6, "reserved": 2, "sold": 2}},
        reservations={"o1": "committed", "o2": "reserved"},
        payments={**CORRECT.payments, "o2": {"captured_cents": 500, "refunded_cents": 0}},
    )
    assert violated(unfinished) == {"I4"}
