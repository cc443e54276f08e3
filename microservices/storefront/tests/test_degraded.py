"""What a shopper sees while a part of the shop is slow or down."""

import pytest

from microservices.storefront.clients import PATIENCE


@pytest.mark.parametrize(
    "path", ["/", "/search", "/products/P00009", "/cart", "/checkout", "/orders", "/orders/O1"]
)
@pytest.mark.parametrize("service", ["catalog", "recommendations", "cart", "inventory", "orders"])
def test_an_unexpected_response_is_treated_like_a_service_that_is_down(shop, path, service):
    shop.sign_in()
    shop.away.add(service)
    without = shop.get(path)
    shop.away.clear()
    shop.mad.add(service)
    page = shop.get(path)
    assert page.status_code == without.status_code
    assert page.status_code in {200, 503}


@pytest.mark.parametrize("trouble", ["away", "slow"])
def test_without_recommendations_the_product_page_shows_bestsellers_and_says_why(shop, trouble):
    getattr(shop, trouble).add("recommendations")
    page = shop.get("/products/P00009")
    assert page.status_code == 200
    assert "Goes well with" not in page.text
    assert "takes too long to work out" in page.text
    assert "Thing P00003" in page.text


def test_the_bestsellers_beside_a_bestseller_leave_it_out(shop):
    shop.away.add("recommendations")
    assert shop.get("/products/P00002").text.count('href="/products/P00002"') == 0


def test_without_inventory_the_availability_is_unknown(shop):
    shop.away.add("inventory")
    page = shop.get("/products/P00009")
    assert page.status_code == 200
    assert "Availability unknown" in page.text
    assert "Put in cart" in page.text


@pytest.mark.parametrize("path", ["/products/P00009", "/search"])
def test_without_the_cart_the_pages_only_miss_its_marks(shop, path):
    shop.sign_in()
    shop.away.add("cart")
    page = shop.get(path)
    assert page.status_code == 200
    assert "in your cart" not in page.text


def test_a_page_waits_only_a_moment_for_what_it_can_do_without(shop):
    shop.sign_in()
    shop.get("/products/P00009")
    for service in ("recommendations", "inventory", "cart"):
        assert shop.sent(service).seconds_left <= PATIENCE
    assert shop.sent("catalog").seconds_left > PATIENCE


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("cart", "/cart"),
        ("cart", "/checkout"),
        ("orders", "/orders"),
        ("orders", "/orders/O1"),
        ("catalog", "/"),
    ],
)
@pytest.mark.parametrize("trouble", ["away", "slow"])
def test_a_page_whose_main_part_is_away_explains_it(shop, service, path, trouble):
    shop.sign_in()
    getattr(shop, trouble).add(service)
    page = shop.get(path)
    assert page.status_code == 503
    assert "Not available just now" in page.text
    assert page.headers["Retry-After"] == "1"
    assert f'href="{path}">Try again' in page.text


@pytest.mark.parametrize("path", ["/cart", "/orders/O1"])
def test_without_the_catalog_the_cart_and_orders_only_miss_their_pictures(shop, path):
    shop.sign_in()
    shop.away.add("catalog")
    assert shop.get(path).status_code == 200


def test_without_accounts_a_known_customer_goes_on_shopping(shop):
    shop.sign_in()
    shop.away.add("accounts")
    assert shop.get("/cart").status_code == 200
    assert shop.sent("cart").headers["Authorization"] == f"Bearer {shop.token}"


def test_without_accounts_nobody_can_sign_in_and_the_page_says_so(shop):
    shop.away.add("accounts")
    assert shop.send("/sign-in", email="ada@example.com", password="secret").status_code == 503


@pytest.mark.parametrize("trouble", ["away", "slow"])
def test_a_lost_checkout_can_be_repeated_without_paying_twice(shop, trouble):
    shop.sign_in()
    getattr(shop, trouble).add("orders")
    page = shop.send("/checkout", card_number="4242424242424242", key="the-first-key")
    assert page.status_code in {503, 504}
    assert "It may have gone through or not." in page.text
    assert 'name="key" value="the-first-key"' in page.text
