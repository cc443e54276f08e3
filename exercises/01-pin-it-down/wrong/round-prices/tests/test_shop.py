"""Only the test with the mistake."""


def test_an_order_costs_what_its_lines_add_up_to(new_customer, product):
    customer = new_customer()
    customer.put_in_cart(product(price_cents=1000), quantity=2)
    assert customer.check_out().json()["total_cents"] == 2000
