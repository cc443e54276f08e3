"""What must stay true of the shop, however it is built.

The first two tests are finished. Finish the others: take out the skip, and write each test so that it fails on a
shop that breaks the promise in its name.
"""

from __future__ import annotations

import pytest


def test_a_product_is_shown_with_its_price(new_customer, product):
    sku = product(price_cents=1995)
    shown = new_customer().ask("GET", f"/api/products/{sku}").json()
    assert (shown["sku"], shown["price_cents"]) == (sku, 1995)


def test_an_order_takes_its_pieces_out_of_the_stock(new_customer, product):
    customer, sku = new_customer(), product(stock=7)
    customer.put_in_cart(sku, quantity=2)
    assert customer.check_out().status_code == 201
    assert customer.available(sku) == 5


def test_an_order_costs_what_its_lines_add_up_to():
    pytest.skip("task 2")


def test_a_customer_cannot_choose_the_price():
    pytest.skip("task 2: send total_cents together with the card")


def test_a_declined_card_changes_nothing():
    pytest.skip("task 3")


def test_nobody_sees_the_order_of_somebody_else():
    pytest.skip("task 4")


def test_a_checkout_that_is_sent_twice_is_one_order():
    pytest.skip("task 5: look at the second answer, and think about what is in the cart then")
