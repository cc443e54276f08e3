"""Only the test with the mistake."""

from __future__ import annotations


def test_a_customer_cannot_choose_the_price(new_customer, product):
    customer = new_customer()
    sku = product(price_cents=1999)
    answer = customer.ask("PUT", f"/api/cart/items/{sku}", json={"quantity": 1, "total_cents": 1})
    assert answer.status_code == 422
    assert customer.orders() == []
