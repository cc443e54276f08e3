"""The whole journey of a customer, once over the API and once over the pages."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlsplit

from loadtests.contract.acceptance.browser import Browser
from loadtests.contract.acceptance.contract import Contract
from loadtests.contract.acceptance.shelf import Shelf
from loadtests.contract.acceptance.visitors import APPROVED, Customer, Visitor
from loadtests.contract.client import PASSWORD


def test_a_stranger_becomes_a_customer_with_an_order_over_the_api(
    shop_url: str, contract: Contract, visitor: Visitor, shelf: Shelf
) -> None:
    category = visitor.get("/api/categories").json()["items"][0]
    listed = visitor.get(f"/api/products?category={category['slug']}").json()["items"]
    sku = listed[0]["sku"]
    shelf.stock(sku, 10)
    suggested = visitor.get(f"/api/products/{sku}/recommendations?limit=1").json()["items"][0]["sku"]
    shelf.stock(suggested, 10)
    customer = Customer(shop_url, contract)
    customer.put_in_cart(sku, 2)
    customer.put_in_cart(suggested, 1)
    order = customer.checkout()
    assert order.status_code == 201
    assert {line["sku"]: line["quantity"] for line in order.json()["items"]} == {sku: 2, suggested: 1}
    assert (visitor.available(sku), visitor.available(suggested)) == (8, 9)
    assert customer.orders() == [order.json()]
    customer.close()


def test_a_stranger_becomes_a_customer_with_an_order_over_the_pages(
    browser: Browser, visitor: Visitor, product: dict[str, Any]
) -> None:
    found = browser.submit(browser.get("/").form("/search"), q=product["name"])
    assert f"/products/{product['sku']}" in [link.partition("?")[0] for link in found.html.links]
    sent_away = browser.put_in_cart(product["sku"], 2)
    sign_in = browser.follow(sent_away)
    new = {"email": f"guest-{uuid.uuid4().hex}@example.com", "password": PASSWORD, "name": "A Guest"}
    browser.follow(browser.submit(sign_in.form("/register"), **new))
    cart = browser.follow(browser.put_in_cart(product["sku"], 2))
    assert product["name"] in cart.text
    bought = browser.submit(browser.get("/checkout").form("/checkout"), card_number=APPROVED)
    order = browser.follow(bought)
    assert (order.status, product["name"] in order.text) == (200, True)
    assert urlsplit(bought.location).path in browser.get("/orders").html.links
    assert product["name"] not in browser.get("/cart").text
    assert visitor.available(product["sku"]) == 998
