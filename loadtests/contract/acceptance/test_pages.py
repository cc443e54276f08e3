"""The pages: what they contain, and what they protect a visitor from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loadtests.contract.acceptance.browser import Browser
from loadtests.contract.acceptance.visitors import Customer, new_key


@pytest.mark.parametrize("path", ["/", "/search", "/search?q=a", "/sign-in"])
def test_a_page_is_html_with_a_title_and_one_heading(browser: Browser, path: str) -> None:
    page = browser.get(path)
    assert page.status == 200
    assert page.response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.html.title.strip()
    assert len(page.html.headings) == 1
    assert page.html.unbalanced == []


@pytest.mark.parametrize("path", ["/cart", "/checkout", "/orders"])
def test_a_members_page_is_html_too(signed_in: Browser, customer: Customer, some_sku: str, path: str) -> None:
    customer.put_in_cart(some_sku)
    page = signed_in.get(path)
    assert page.status == 200
    assert len(page.html.headings) == 1
    assert page.html.unbalanced == []


def test_every_page_carries_a_request_id(browser: Browser) -> None:
    assert browser.get("/").response.headers["X-Request-Id"]
    assert browser.get("/no-such-page").response.headers["X-Request-Id"]


def test_a_product_page_shows_the_product_and_what_goes_with_it(
    browser: Browser, product: dict[str, Any]
) -> None:
    page = browser.get(f"/products/{product['sku']}")
    others = [
        link for link in page.html.links if link.startswith("/products/") and product["sku"] not in link
    ]
    assert product["name"] in page.text
    assert f"{product['price_cents'] / 100:,.2f}" in page.text
    assert page.form("/cart/items").fields["sku"] == product["sku"]
    assert len(others) >= 4


@pytest.mark.parametrize("path", ["/products/NO-SUCH-SKU", "/products/p00001", "/no-such-page", "/products/"])
def test_a_page_that_does_not_exist_says_so_in_html(browser: Browser, path: str) -> None:
    page = browser.get(path)
    assert page.status == 404
    assert page.response.headers["Content-Type"].startswith("text/html")


def test_a_search_leads_to_the_product(browser: Browser, product: dict[str, Any]) -> None:
    page = browser.submit(browser.get("/").form("/search"), q=product["name"])
    assert page.status == 200
    assert f"/products/{product['sku']}" in page.html.links


@pytest.mark.parametrize(
    "query", ["q=%25", "q=%27%20OR%201%3D1", "q=%F0%9F%9B%92", "category=none", "q=" + "q" * 100]
)
def test_a_search_with_special_characters_succeeds(browser: Browser, query: str) -> None:
    assert browser.get(f"/search?{query}").status == 200


@pytest.mark.parametrize("query", ["page=0", "page=x", "page=99999", "q=" + "q" * 101, "q=%00"])
def test_an_invalid_search_is_answered_with_a_page(browser: Browser, query: str) -> None:
    page = browser.get(f"/search?{query}")
    assert page.status in (200, 404, 422)
    assert page.response.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("path", ["/", "/sign-in", "/products/P00001", "/no-such-page"])
def test_a_page_lets_no_script_run_and_no_other_site_frame_it(browser: Browser, path: str) -> None:
    policy = browser.get(path).response.headers["Content-Security-Policy"]
    directives = {part.split()[0]: part.split()[1:] for part in policy.split(";") if part.strip()}
    assert directives["default-src"] == ["'none'"]
    assert "script-src" not in directives
    assert directives["frame-ancestors"] == ["'none'"]


def test_search_words_are_escaped_in_the_page(browser: Browser) -> None:
    page = browser.get("/search?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in page.response.text


def test_somebody_elses_order_page_is_not_found(
    signed_in: Browser, new_customer: Callable[[], Customer], product: dict[str, Any]
) -> None:
    owner = new_customer()
    owner.put_in_cart(product["sku"])
    order_id = owner.checkout().json()["id"]
    assert signed_in.get(f"/orders/{order_id}").status == 404
    assert signed_in.get("/orders/no-such-order").status == 404


def test_a_customers_name_is_escaped_in_the_page(browser: Browser) -> None:
    form = browser.get("/sign-in").form("/register")
    name = "<script>alert(1)</script>"
    browser.submit(form, email=f"{new_key()}@example.com", password="long enough", name=name)
    assert browser.cookie
    assert "<script>alert" not in browser.get("/").response.text
