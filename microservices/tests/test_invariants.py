"""The invariants see what is wrong: a sound shop has no sentence, and each kind of damage has its own."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from microservices.chaos.invariants import INVARIANTS, Shop, Told, stock_adds_up, what_was_told_is_true

ORDER = {"number": 1, "id": "o1", "customer_id": "ada", "key": "key-1", "step": "settled", "total_cents": 500}
SOUND = Shop(
    orders=[
        ORDER,
        {"number": 2, "id": "o2", "customer_id": "ada", "key": "key-2", "step": "undone", "total_cents": 500},
    ],
    lines=[
        {"order_number": 1, "sku": "P1", "quantity": 2},
        {"order_number": 2, "sku": "P1", "quantity": 2},
    ],
    outbox=[{"position": 1, "data": {"order_id": "o1"}}],
    stock={"P1": {"received": 10, "available": 8, "reserved": 0, "sold": 2}},
    reservations={"o1": "committed", "o2": "released"},
    reserved=[
        {"order_id": "o1", "sku": "P1", "quantity": 2},
        {"order_id": "o2", "sku": "P1", "quantity": 2},
    ],
    payments={
        "o1": {"captured_cents": 500, "refunded_cents": 0},
        "o2": {"captured_cents": 500, "refunded_cents": 500},
    },
    popularity={"P1": 1},
    read_to=1,
)
TOLD = [Told("ada", "key-1", 201, ORDER), Told("ada", "key-2", 402), Told("ada", "key-3", None)]


def damaged(part, where, value):
    """The sound shop with one fact changed."""
    whole = copy.deepcopy(getattr(SOUND, part))
    *path, last = where
    place = whole
    for step in path:
        place = place[step]
    place[last] = value
    return replace(SOUND, **{part: whole})


def sentences(shop, told=TOLD):
    found = {name: list(check(shop)) for name, check in INVARIANTS.items()}
    found["I3"] = list(what_was_told_is_true(shop, told))
    return {name for name, said in found.items() if said}


def test_a_sound_shop_breaks_nothing():
    assert sentences(SOUND) == set()
    assert list(stock_adds_up(SOUND, SOUND)) == []


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
def test_damage_is_seen(part, where, value, name):
    assert name in sentences(damaged(part, where, value))


def test_stock_that_appeared_from_nowhere_is_seen():
    more = damaged("stock", ("P1",), {"received": 11, "available": 9, "reserved": 0, "sold": 2})
    assert sentences(more) == set()
    assert list(stock_adds_up(more, SOUND)) == ["P1: 10 were received before, 11 now."]


def test_an_unfinished_checkout_may_hold_stock_and_money():
    unfinished = replace(
        SOUND,
        orders=[ORDER, {**SOUND.orders[1], "step": "priced"}],
        stock={"P1": {"received": 10, "available": 6, "reserved": 2, "sold": 2}},
        reservations={"o1": "committed", "o2": "reserved"},
        payments={**SOUND.payments, "o2": {"captured_cents": 500, "refunded_cents": 0}},
    )
    assert sentences(unfinished) == {"I4"}
