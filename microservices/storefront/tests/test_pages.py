"""How the pages call the other services; their look is tested where both shops have them."""

import pytest

from microservices.storefront.app import create_app
from microservices.storefront.tests.conftest import SERVICES, checkout_key, problem
from microservices.tests.one_service import ServiceUnderTest, publish_keys


@pytest.mark.parametrize(
    ("path", "calls"),
    [
        ("/", 2), ("/search", 3), ("/products/P00009", 4), ("/cart", 2), ("/checkout", 1), ("/orders", 1),
        ("/orders/O1", 2), ("/sign-in", 0),
    ],
)  # fmt: skip
def test_a_page_makes_few_calls(shop, path, calls):
    shop.sign_in()
    shop.get(path)
    assert len(shop.asked()) == calls


def test_a_visitor_without_account_costs_one_call_less(shop):
    shop.get("/products/P00009")
    assert shop.asked("cart") == []
    assert len(shop.asked()) == 3


def test_calls_carry_the_customers_token_and_no_other(shop):
    shop.sign_in()
    shop.get("/products/P00009")
    assert shop.sent("recommendations").headers["Authorization"] == f"Bearer {shop.token}"
    assert "Authorization" not in shop.sent("catalog").headers


def test_recommendations_learn_what_is_in_the_cart(shop):
    shop.sign_in()
    shop.get("/products/P00009")
    assert shop.asked("recommendations") == ["GET /api/products/P00009/recommendations?cart=P00002&limit=8"]


def test_the_product_page_marks_what_is_in_the_cart(shop):
    shop.sign_in()
    assert "2 in your cart" in shop.get("/products/P00002").text


def test_search_marks_what_is_in_the_cart_with_a_call_to_the_cart(shop):
    shop.sign_in()
    assert shop.get("/search?q=thing").text.count("in your cart") == 1


@pytest.mark.parametrize("path", ["/cart", "/checkout", "/orders", "/orders/O1"])
def test_what_is_private_leads_to_the_sign_in_page_without_a_call(shop, path):
    assert shop.get(path).location == f"/sign-in?next={path}"
    assert shop.asked() == []


def test_an_expired_sign_in_is_not_signed_in(shop):
    shop.sign_in(seconds=-1)
    assert shop.get("/cart").location == "/sign-in?next=/cart"
    assert shop.get("/products/P00009").status_code == 200


def test_a_token_that_a_service_refuses_leads_to_the_sign_in_page(shop):
    shop.sign_in()
    shop.put = problem(401, "not-authenticated")
    answer = shop.send("/cart/items", sku="P00002", quantity="1")
    assert answer.location.startswith("/sign-in")
    assert "shop_session=;" in answer.headers["Set-Cookie"]


def test_a_form_from_a_trusted_address_is_accepted(tmp_path):
    trusted = {"SHOP_TRUSTED_ORIGINS": "https://name-8080.example"}
    callees = dict.fromkeys(SERVICES, publish_keys)
    shop = ServiceUnderTest(create_app, tmp_path, callees=callees, **trusted)
    answers = [
        shop.http.post("/sign-out", headers={"Origin": origin}).status_code
        for origin in ("https://name-8080.example", "http://name-8080.example", "https://evil.example")
    ]
    shop.close()
    assert answers == [303, 403, 403]


def test_a_form_from_another_site_makes_no_call(shop):
    shop.sign_in()
    answer = shop.browser.post(
        "/cart/items", data={"sku": "P00002"}, headers={"Origin": "http://evil.example"}
    )
    assert answer.status_code == 403
    assert shop.asked() == []


@pytest.mark.parametrize("sku", ["..", "a b", "P1/../../internal", "P00001?x=", "%2e%2e"])
def test_only_a_sku_gets_into_an_address(shop, sku):
    shop.sign_in()
    assert shop.send("/cart/items", sku=sku, quantity="1").status_code == 400
    assert shop.asked() == []


def test_only_an_order_number_gets_into_an_address(shop):
    shop.sign_in()
    assert shop.get("/orders/..").status_code == 404
    assert shop.asked() == []


def test_an_unknown_product_is_a_page(shop):
    page = shop.get("/products/P99999")
    assert page.status_code == 404
    assert "We do not have that" in page.text


def test_paying_sends_the_key_of_the_form_and_leads_to_the_order(shop):
    shop.sign_in()
    key = checkout_key(shop.get("/checkout"))
    assert (
        shop.send("/checkout", card_number="4242 4242 4242 4242", key=key).location == "/orders/O1?thanks=1"
    )
    assert shop.sent("orders").headers["Idempotency-Key"] == key
    assert shop.sent("orders").body == {"card_number": "4242424242424242"}


@pytest.mark.parametrize(
    ("answer", "sentence", "same_key"),
    [
        (problem(402, "payment-declined"), "The card was declined.", False),
        (problem(504, "payment-timed-out"), "did not answer in time", False),
        (
            problem(409, "out-of-stock", sku="P00002", wanted=2, available=1),
            "You want 2, and 1 of it is left.",
            False,
        ),
        (problem(422, "idempotency-key-reused"), "before with another card", False),
        (problem(409, "checkout-in-progress"), "being placed already", True),
        (problem(503, "unavailable"), "It may have gone through or not.", True),
        ((502, None), "It may have gone through or not.", True),
        (problem(503, "unavailable", final=True), "The checkout was cancelled.", False),
        (problem(504, "upstream-timeout", final=True), "The checkout was cancelled.", False),
    ],
)
def test_a_refused_checkout_is_explained_and_keeps_its_key_only_while_it_may_be_under_way(
    shop, answer, sentence, same_key
):
    shop.sign_in()
    shop.checkout = answer
    page = shop.send("/checkout", card_number="4242424242424242", key="the-first-key")
    assert sentence in page.text
    assert page.status_code >= 400
    assert (checkout_key(page) == "the-first-key") is same_key


def test_a_full_cart_says_so(shop):
    shop.sign_in()
    shop.put = problem(409, "cart-full")
    page = shop.send("/cart/items", sku="P00005", quantity="1")
    assert page.status_code == 409
    assert 'role="alert"' in page.text


def test_programs_get_problems(shop):
    assert shop.get("/api/nothing").mimetype == "application/problem+json"
    assert shop.get("/nothing").mimetype == "text/html"


@pytest.mark.parametrize("path", ["/", "/sign-in", "/no/such/page", "/products/NO-SUCH-SKU"])
def test_every_page_says_what_a_browser_may_do_with_it_even_one_that_is_not_there(shop, path):
    headers = shop.get(path).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
