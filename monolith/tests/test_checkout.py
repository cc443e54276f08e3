"""Checkout is all or nothing, once for each key."""

from __future__ import annotations

from sqlalchemy import func, select

from monolith.inventory.models import Stock
from monolith.orders.models import Order
from monolith.payments.models import Payment

SKU = "P00001"


def test_a_checkout_sells_the_stock_takes_the_money_and_empties_the_cart(ada, database):
    before = ada.get(f"/api/inventory/{SKU}").json["available"]
    ada.put(f"/api/cart/items/{SKU}", {"quantity": 2})

    order = ada.check_out()

    assert order.status_code == 201
    assert ada.get(f"/api/inventory/{SKU}").json["available"] == before - 2
    assert ada.get("/api/cart").json == {"items": [], "total_cents": 0}
    with database.reading() as db:
        captured = db.execute(select(Payment.captured_cents).where(Payment.order_id == order.json["id"]))
        assert captured.scalar_one() == order.json["total_cents"]


def test_a_silent_payment_provider_charges_nothing(ada, database):
    ada.put(f"/api/cart/items/{SKU}", {"quantity": 1})
    with database.reading() as db:
        payments = db.execute(select(func.count(Payment.order_id))).scalar_one()

    assert ada.check_out(card="4000000000000119").json["type"] == "/problems/payment-timed-out"

    with database.reading() as db:
        assert db.execute(select(func.count(Payment.order_id))).scalar_one() == payments


def test_order_numbers_count_without_gaps_although_a_checkout_was_refused_between(ada, database):
    numbers = []
    for turn, card in enumerate(["4242424242424242", "4000000000000002", "4242424242424242"]):
        ada.put(f"/api/cart/items/{SKU}", {"quantity": 1})
        ada.check_out(card=card, key=f"key-{turn:08d}")
    with database.reading() as db:
        numbers = [row[0] for row in db.execute(select(Order.number).order_by(Order.number.desc()).limit(2))]
    assert numbers == [302, 301]


def test_stock_adds_up_after_seeding_and_selling(ada, database):
    ada.put(f"/api/cart/items/{SKU}", {"quantity": 5})
    ada.check_out()
    with database.reading() as db:
        for stock in db.execute(select(Stock.received, Stock.available, Stock.sold)):
            assert stock.received == stock.available + stock.sold
