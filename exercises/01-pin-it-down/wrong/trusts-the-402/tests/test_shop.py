"""Only the test with the mistake."""

from __future__ import annotations

from people import DECLINED


def test_a_declined_card_changes_nothing(new_customer, product):
    customer, sku = new_customer(), product(stock=3)
    customer.put_in_cart(sku, quantity=2)
    assert customer.check_out(DECLINED).status_code == 402
    assert customer.orders() == []
    assert [line["quantity"] for line in customer.cart()] == [2]
