"""What must stay true of the shop, however it is built."""

from __future__ import annotations

from people import DECLINED, new_key


def test_a_product_is_shown_with_its_price(new_customer, product):
    sku = product(price_cents=1995)
    shown = new_customer().ask("GET", f"/api/products/{sku}").json()
    assert (shown["sku"], shown["price_cents"]) == (sku, 1995)


def test_an_order_takes_its_pieces_out_of_the_stock(new_customer, product):
    customer, sku = new_customer(), product(stock=7)
    customer.put_in_cart(sku, quantity=2)
    assert customer.check_out().status_code == 201
    assert customer.available(sku) == 5


def test_an_order_costs_what_its_lines_add_up_to(new_customer, product):
    customer = new_customer()
    customer.put_in_cart(product(price_cents=1999), quantity=3)
    customer.put_in_cart(product(price_cents=501))
    order = customer.check_out().json()
    assert order["total_cents"] == 3 * 1999 + 501
    assert sorted(line["line_total_cents"] for line in order["items"]) == [501, 5997]


def test_a_customer_cannot_choose_the_price(new_customer, product):
    customer = new_customer()
    customer.put_in_cart(product())
    answer = customer.check_out(total_cents=1)
    assert answer.status_code == 422
    assert customer.orders() == []


def test_a_declined_card_changes_nothing(new_customer, product):
    customer, sku = new_customer(), product(stock=3)
    customer.put_in_cart(sku, quantity=2)
    assert customer.check_out(DECLINED).status_code == 402
    assert customer.available(sku) == 3
    assert customer.orders() == []
    assert [line["quantity"] for line in customer.cart()] == [2]


def test_nobody_sees_the_order_of_somebody_else(new_customer, product):
    customer, stranger = new_customer(), new_customer()
    customer.put_in_cart(product())
    order = customer.check_out().json()
    assert customer.ask("GET", f"/api/orders/{order['id']}").json() == order
    assert stranger.ask("GET", f"/api/orders/{order['id']}").status_code == 404


def test_a_checkout_that_is_sent_twice_is_one_order(new_customer, product):
    customer, sku, key = new_customer(), product(), new_key()
    customer.put_in_cart(sku)
    first = customer.check_out(key=key)
    customer.put_in_cart(product())
    again = customer.check_out(key=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert len(customer.orders()) == 1
