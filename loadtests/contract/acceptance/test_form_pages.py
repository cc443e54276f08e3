"""The forms of cart and checkout, and forms that come from another site."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.contract.acceptance.browser import Browser
from loadtests.contract.acceptance.shelf import Shelf
from loadtests.contract.acceptance.visitors import APPROVED, DECLINED, TIMES_OUT, Customer


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null", ""])
@pytest.mark.parametrize("path", ["/sign-in", "/register", "/sign-out", "/cart/items", "/checkout"])
def test_a_form_on_another_site_is_refused(regular_browser: Browser, path: str, origin: str) -> None:
    page = regular_browser.post(path, {}, {"Origin": origin} if origin else {})
    assert page.status == 403
    assert regular_browser.cookie


def test_a_refused_form_names_both_addresses_and_the_setting(regular_browser: Browser) -> None:
    page = regular_browser.post("/sign-out", {}, {"Origin": "https://forwarded.example:8443"})
    assert page.status == 403
    host = regular_browser.base_url.partition("//")[2]
    assert f"It came from https://forwarded.example:8443, and this shop was called as {host}" in page.text
    assert "SHOP_TRUSTED_ORIGINS=https://forwarded.example:8443" in page.text


def test_a_referer_is_checked_like_an_origin(
    signed_in: Browser, customer: Customer, product: dict[str, Any]
) -> None:
    fields = {"sku": product["sku"], "quantity": "1"}
    away = signed_in.post("/cart/items", fields, {"Referer": "https://evil.example/page"})
    here = signed_in.post(
        "/cart/items", fields, {"Referer": f"{signed_in.base_url}/products/{product['sku']}"}
    )
    assert (away.status, here.status) == (403, 303)
    assert customer.cart() == {product["sku"]: 1}


def test_the_cart_page_changes_and_removes_lines(
    signed_in: Browser, customer: Customer, product: dict[str, Any]
) -> None:
    cart = signed_in.follow(signed_in.put_in_cart(product["sku"], 3))
    assert customer.cart() == {product["sku"]: 3}
    line = next(form for form in cart.forms("/cart/items") if form.fields.get("sku") == product["sku"])
    cart = signed_in.follow(signed_in.submit(line, quantity="5"))
    assert customer.cart() == {product["sku"]: 5}
    signed_in.submit(line, quantity="0")
    assert customer.cart() == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"quantity": "1"},
        {"sku": "P00001"},
        {"sku": "P00001", "quantity": "-1"},
        {"sku": "P00001", "quantity": "100"},
        {"sku": "P00001", "quantity": "one"},
        {"sku": "P00001", "quantity": "9" * 5000},
        {"sku": "NO-SUCH-SKU", "quantity": "1"},
        {"sku": "p\x00", "quantity": "1"},
    ],
)
def test_an_invalid_form_is_answered_with_a_page_and_changes_nothing(
    regular_browser: Browser, regular: Customer, fields: dict[str, str]
) -> None:
    page = regular_browser.post("/cart/items", fields, {"Origin": regular_browser.base_url})
    assert 300 <= page.status < 500
    assert page.status == 303 or page.response.headers["Content-Type"].startswith("text/html")
    assert regular.cart() == {}


@pytest.mark.parametrize("card", [DECLINED, TIMES_OUT, "no card", ""])
def test_a_refused_checkout_says_why_and_can_be_tried_again(
    signed_in: Browser, customer: Customer, product: dict[str, Any], card: str
) -> None:
    customer.put_in_cart(product["sku"])
    refused = signed_in.submit(signed_in.get("/checkout").form("/checkout"), card_number=card)
    assert refused.status >= 400
    assert refused.response.headers["Content-Type"].startswith("text/html")
    again = signed_in.submit(refused.form("/checkout"), card_number=APPROVED)
    assert signed_in.follow(again).status == 200
    assert len(customer.orders()) == 1


def test_a_checkout_form_sent_twice_buys_once(
    signed_in: Browser, customer: Customer, product: dict[str, Any]
) -> None:
    customer.put_in_cart(product["sku"])
    form = signed_in.get("/checkout").form("/checkout")
    first = signed_in.submit(form, card_number=APPROVED)
    again = signed_in.submit(form, card_number=APPROVED)
    assert (first.status, again.status) == (303, 303)
    assert again.location == first.location
    assert len(customer.orders()) == 1


def test_a_checkout_of_a_sold_out_product_is_refused(
    signed_in: Browser, customer: Customer, shelf: Shelf
) -> None:
    product = shelf.pick(available=0)
    customer.put_in_cart(product["sku"])
    page = signed_in.submit(signed_in.get("/checkout").form("/checkout"), card_number=APPROVED)
    assert page.status == 409
    assert customer.orders() == []
