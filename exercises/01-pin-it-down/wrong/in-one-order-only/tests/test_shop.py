"""Only the test with the mistake."""

from __future__ import annotations

BOUGHT = []


def test_a_customer_buys(new_customer, product):
    customer = new_customer()
    customer.put_in_cart(product())
    BOUGHT.append((customer, customer.check_out().json()["id"]))


def test_the_customer_sees_the_order():
    customer, order_id = BOUGHT.pop()
    assert customer.orders()[0]["id"] == order_id
