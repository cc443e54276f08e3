"""Only the test with the mistake."""

from __future__ import annotations

import requests


def test_nobody_sees_the_order_of_somebody_else(shop_url, new_customer, product):
    customer = new_customer()
    customer.put_in_cart(product())
    order = customer.check_out().json()
    answer = requests.get(f"{shop_url}/api/orders/{order['id']}", timeout=30)
    assert answer.status_code == 401
