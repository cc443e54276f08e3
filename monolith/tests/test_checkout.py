"""Checkout is all or nothing, once for each key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

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


def test_a_declined_card_leaves_stock_cart_and_orders_as_they_were(ada, database):
    ada.put(f"/api/cart/items/{SKU}", {"quantity": 2})
    stock, cart, orders = (ada.get(p).json for p in (f"/api/inventory/{SKU}", "/api/cart", "/api/orders"))

    refused = ada.check_out(card="4000000000000002")

    assert refused.status_code == 402
    assert refused.content_type == "application/problem+json"
    assert ada.get(f"/api/inventory/{SKU}").json == stock
    assert ada.get("/api/cart").json == cart
    assert ada.get("/api/orders").json == orders


def test_a_silent_payment_provider_charges_nothing(ada, database):
    ada.put(f"/api/cart/items/{SKU}", {"quantity": 1})
    with database.reading() as db:
        payments = db.execute(select(func.count(Payment.order_id))).scalar_one()

    assert ada.check_out(card="4000000000000119").json["type"] == "/problems/payment-timed-out"

    with database.reading() as db:
        assert db.execute(select(func.count(Payment.order_id))).scalar_one() == payments


def test_too_little_stock_refuses_the_whole_order_and_says_what_is_left(ada, admin):
    admin.put("/api/inventory/P00002", {"available": 1})
    ada.put("/api/cart/items/P00001", {"quantity": 1})
    ada.put("/api/cart/items/P00002", {"quantity": 3})
    first = ada.get("/api/inventory/P00001").json

    refused = ada.check_out().json

    assert (refused["sku"], refused["wanted"], refused["available"]) == ("P00002", 3, 1)
    assert ada.get("/api/inventory/P00001").json == first


def test_the_last_item_is_sold_once_when_two_customers_want_it_at_once(ada, grace, admin):
    admin.put(f"/api/inventory/{SKU}", {"available": 1})
    for shopper in (ada, grace):
        shopper.put(f"/api/cart/items/{SKU}", {"quantity": 1})

    with ThreadPoolExecutor(2) as pool:
        answers = [f.result().status_code for f in [pool.submit(s.check_out) for s in (ada, grace)]]

    assert sorted(answers) == [201, 409]


def test_a_repeated_checkout_gets_the_first_answer_again(ada):
    ada.put(f"/api/cart/items/{SKU}", {"quantity": 1})
    first = ada.check_out()
    again = ada.check_out()
    assert again.json == first.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers


def test_a_repeated_refusal_stays_a_refusal_although_the_cart_is_full_by_now(ada):
    assert ada.check_out().json["type"] == "/problems/cart-empty"
    ada.put(f"/api/cart/items/{SKU}", {"quantity": 1})
    assert ada.check_out().json["type"] == "/problems/cart-empty"


def test_a_key_with_another_body_is_refused(ada):
    ada.check_out()
    other = ada.check_out(card="4000000000000002")
    assert (other.status_code, other.json["type"]) == (422, "/problems/idempotency-key-reused")


def test_two_customers_may_use_the_same_key(ada, grace):
    for shopper in (ada, grace):
        shopper.put(f"/api/cart/items/{SKU}", {"quantity": 1})
    assert ada.check_out().json["id"] != grace.check_out().json["id"]


def test_one_cart_is_sold_once_although_two_checkouts_want_it_at_once(ada):
    ada.put(f"/api/cart/items/{SKU}", {"quantity": 1})

    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(ada.check_out, key=f"key-{turn:08d}") for turn in range(2)]

    assert sorted(answer.result().status_code for answer in answers) == [201, 409]


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
