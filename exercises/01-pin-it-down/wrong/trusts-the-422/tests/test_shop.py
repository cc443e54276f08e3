"""Only the test with the mistake."""

from __future__ import annotations


def test_a_customer_cannot_choose_the_price(new_customer, product):
    customer = new_customer()
    customer.put_in_cart(product(price_cents=1999))
    assert customer.check_out(total_cents=1).status_code == 422
