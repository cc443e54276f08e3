"""Only the test with the mistake."""

from __future__ import annotations


def test_nobody_sees_the_order_of_somebody_else(new_customer, product):
    customer, stranger = new_customer(), new_customer()
    customer.put_in_cart(product())
    order = customer.check_out().json()
    assert stranger.ask("GET", f"/api/orders/{order['id']}").status_code >= 400
