"""The cart: lines, quantities, current prices, and one cart per customer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loadtests.contract.acceptance.shelf import Shelf
from loadtests.contract.acceptance.visitors import Customer


def test_a_new_cart_is_empty(customer: Customer) -> None:
    assert customer.get("/api/cart").json() == {"items": [], "total_cents": 0}


def test_a_line_shows_name_price_and_total(customer: Customer, product: dict[str, Any]) -> None:
    answer = customer.put_in_cart(product["sku"], 3)
    assert answer.status_code == 200
    line = {
        "sku": product["sku"],
        "name": product["name"],
        "unit_price_cents": product["price_cents"],
        "quantity": 3,
        "line_total_cents": 3 * product["price_cents"],
    }
    assert answer.json() == {"items": [line], "total_cents": line["line_total_cents"]}
    assert customer.get("/api/cart").json() == answer.json()


def test_lines_are_sorted_by_sku_and_add_up(customer: Customer, shelf: Shelf) -> None:
    for product in shelf.pick_many(4):
        customer.put_in_cart(product["sku"], 2)
    cart = customer.get("/api/cart").json()
    skus = [line["sku"] for line in cart["items"]]
    assert (len(skus), skus) == (4, sorted(skus))
    assert cart["total_cents"] == sum(line["line_total_cents"] for line in cart["items"])


def test_a_second_put_sets_the_quantity_and_does_not_add(customer: Customer, some_sku: str) -> None:
    customer.put_in_cart(some_sku, 5)
    customer.put_in_cart(some_sku, 99)
    customer.put_in_cart(some_sku, 2)
    assert customer.cart() == {some_sku: 2}


@pytest.mark.parametrize(
    "quantity", [0, -1, 100, 10**30, -(10**30), "1", 1.0, 1.5, True, False, None, [], {}]
)
def test_an_invalid_quantity_is_refused_and_changes_nothing(
    customer: Customer, some_sku: str, quantity: Any
) -> None:
    customer.put_in_cart(some_sku, 1)
    answer = customer.put(f"/api/cart/items/{some_sku}", {"quantity": quantity})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["quantity"]
    assert customer.cart() == {some_sku: 1}


@pytest.mark.parametrize("field", ["unit_price_cents", "price_cents", "customer_id", "sku", "Quantity"])
def test_a_field_that_the_client_must_not_set_is_refused(
    customer: Customer, some_sku: str, field: str
) -> None:
    answer = customer.put(f"/api/cart/items/{some_sku}", {"quantity": 1, field: 1})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert customer.cart() == {}


@pytest.mark.parametrize("sku", ["NO-SUCH-SKU", "p00001", "P" * 21, "P%27--"])
def test_an_unknown_product_does_not_go_into_a_cart(customer: Customer, sku: str) -> None:
    answer = customer.put_in_cart(sku)
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/unknown-product"
    assert customer.cart() == {}


def test_a_product_out_of_stock_still_goes_into_a_cart(customer: Customer, shelf: Shelf) -> None:
    sku = shelf.pick(available=0)["sku"]
    assert customer.put_in_cart(sku).status_code == 200


def test_a_cart_holds_fifty_products_and_no_more(customer: Customer) -> None:
    items = customer.get("/api/products?page_size=51").json()["items"]
    statuses = [customer.put_in_cart(item["sku"]).status_code for item in items]
    assert statuses == [200] * 50 + [409]
    assert customer.put_in_cart(items[50]["sku"]).json()["type"] == "/problems/cart-full"
    assert customer.put_in_cart(items[0]["sku"], 7).status_code == 200
    assert len(customer.cart()) == 50


def test_a_line_can_be_removed_twice(customer: Customer, shelf: Shelf) -> None:
    kept, removed = (product["sku"] for product in shelf.pick_many(2))
    customer.put_in_cart(kept)
    customer.put_in_cart(removed)
    answers = [customer.delete(f"/api/cart/items/{removed}").status_code for _ in range(2)]
    assert answers == [204, 204]
    assert customer.cart() == {kept: 1}


@pytest.mark.parametrize("sku", ["x", "p00001", "P" * 21, "%C2%84"])
def test_a_line_with_a_malformed_sku_cannot_be_removed(customer: Customer, sku: str) -> None:
    answer = customer.delete(f"/api/cart/items/{sku}")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-product")


def test_a_cart_can_be_cleared_twice(customer: Customer, some_sku: str) -> None:
    customer.put_in_cart(some_sku)
    answers = [customer.delete("/api/cart").status_code for _ in range(2)]
    assert answers == [204, 204]
    assert customer.cart() == {}


def test_a_cart_shows_todays_price(customer: Customer, shelf: Shelf, product: dict[str, Any]) -> None:
    customer.put_in_cart(product["sku"], 2)
    shelf.price(product["sku"], 4321)
    cart = customer.get("/api/cart").json()
    assert (cart["items"][0]["unit_price_cents"], cart["total_cents"]) == (4321, 8642)


def test_everybody_has_their_own_cart(new_customer: Callable[[], Customer], some_sku: str) -> None:
    one, other = new_customer(), new_customer()
    one.put_in_cart(some_sku, 2)
    other.put_in_cart(some_sku, 5)
    other.delete("/api/cart")
    assert one.cart() == {some_sku: 2}
    assert other.cart() == {}


def test_a_cart_survives_the_session(customer: Customer, shop_url: str, some_sku: str) -> None:
    customer.put_in_cart(some_sku, 4)
    again = Customer(shop_url, customer.contract, customer.email)
    assert again.cart() == {some_sku: 4}
    again.close()
