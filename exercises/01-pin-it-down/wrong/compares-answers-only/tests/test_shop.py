"""Only the test with the mistake."""

from __future__ import annotations

from people import new_key


def test_a_checkout_that_is_sent_twice_is_one_order(new_customer, product):
    customer, sku, key = new_customer(), product(stock=9), new_key()
    customer.put_in_cart(sku)
    first = customer.check_out(key=key)
    customer.put_in_cart(sku)
    again = customer.check_out(key=key)
    assert again.json() == first.json()
