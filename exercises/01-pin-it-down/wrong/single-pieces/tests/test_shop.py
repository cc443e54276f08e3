"""Only the test with the mistake."""

from __future__ import annotations


def test_an_order_costs_what_its_lines_add_up_to(new_customer, product):
    customer = new_customer()
    customer.put_in_cart(product(price_cents=1999))
    customer.put_in_cart(product(price_cents=502))
    assert customer.check_out().json()["total_cents"] == 2501
