"""Recommendations: their number, what changes them, and that the shop learns them from orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loadtests.contract.acceptance.shelf import Shelf
from loadtests.contract.acceptance.visitors import Customer, Visitor
from loadtests.contract.acceptance.waiting import eventually

LEARNS_WITHIN_SECONDS = 10


def recommended(visitor: Visitor, sku: str, **query: Any) -> list[str]:
    answer = visitor.get(f"/api/products/{sku}/recommendations", params=query)
    assert (answer.status_code, answer.json()["sku"]) == (200, sku)
    return [item["sku"] for item in answer.json()["items"]]


def test_a_product_has_eight_different_recommendations(visitor: Visitor, some_sku: str) -> None:
    skus = recommended(visitor, some_sku)
    assert len(set(skus)) == 8
    assert some_sku not in skus


def test_recommended_products_are_in_the_catalogue(visitor: Visitor, some_sku: str) -> None:
    skus = recommended(visitor, some_sku)
    batch = visitor.get("/api/products", params={"sku": ",".join(skus)}).json()
    assert [item["sku"] for item in batch["items"]] == skus


@pytest.mark.parametrize("limit", [1, 20])
def test_the_limit_sets_the_number_of_recommendations(visitor: Visitor, some_sku: str, limit: int) -> None:
    assert len(recommended(visitor, some_sku, limit=limit)) == limit


def test_scores_have_at_most_six_decimal_places(visitor: Visitor, some_sku: str) -> None:
    items = visitor.get(f"/api/products/{some_sku}/recommendations").json()["items"]
    assert all(item["score"] == round(item["score"], 6) for item in items)


def test_products_in_the_cart_are_not_recommended(visitor: Visitor, some_sku: str) -> None:
    cart = recommended(visitor, some_sku, limit=3)
    assert not set(cart) & set(recommended(visitor, some_sku, cart=",".join(cart), limit=20))


def test_products_in_the_cart_change_the_recommendations(visitor: Visitor, some_sku: str) -> None:
    cart = [item["sku"] for item in visitor.get("/api/products?page_size=20").json()["items"]]
    with_cart = recommended(visitor, some_sku, cart=",".join(cart), limit=20)
    assert with_cart != recommended(visitor, some_sku, limit=20)


def test_a_product_that_was_never_sold_gets_popular_ones(visitor: Visitor) -> None:
    assert len(recommended(visitor, "NO-SUCH-SKU")) == 8


def test_a_new_customer_gets_the_same_as_an_anonymous_visitor(
    visitor: Visitor, customer: Customer, some_sku: str
) -> None:
    path = f"/api/products/{some_sku}/recommendations"
    assert customer.get(path).json() == visitor.get(path).json()


def test_a_customer_with_past_orders_gets_personal_recommendations(visitor: Visitor, ada: Customer) -> None:
    skus = [item["sku"] for item in visitor.get("/api/products?page_size=10").json()["items"]]
    personal = [recommended(ada, sku, limit=20) for sku in skus]
    assert personal != [recommended(visitor, sku, limit=20) for sku in skus]


def test_a_cart_of_fifty_products_is_accepted(visitor: Visitor, some_sku: str) -> None:
    cart = [item["sku"] for item in visitor.get("/api/products?page_size=50").json()["items"]]
    assert recommended(visitor, some_sku, cart=",".join(cart), limit=20)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("limit", value) for value in ("0", "21", "-1", "eight", "1.0", "9" * 99)],
        ("cart", ",".join(f"NONE-{number}" for number in range(51))),
        ("cart", ",".join(["NONE-1"] * 51)),
    ],
)
def test_an_invalid_parameter_is_refused_by_name(
    visitor: Visitor, some_sku: str, name: str, value: str
) -> None:
    answer = visitor.get(f"/api/products/{some_sku}/recommendations", params={name: value})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == name


def test_products_often_bought_together_are_soon_recommended_together(
    visitor: Visitor, new_customer: Callable[[], Customer], shelf: Shelf
) -> None:
    one, two = (product["sku"] for product in shelf.pick_many(2))
    customer = new_customer()
    for _ in range(12):
        customer.put_in_cart(one)
        customer.put_in_cart(two)
        assert customer.checkout().status_code == 201
    assert eventually(lambda: two in recommended(visitor, one, limit=20), LEARNS_WITHIN_SECONDS)
