"""Inventory: the stock of a product, which the admin sets."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.contract.acceptance.shelf import Shelf
from loadtests.contract.acceptance.visitors import Customer, Visitor


@pytest.mark.parametrize("available", [0, 1, 1_000_000])
def test_the_admin_sets_the_stock_and_everybody_sees_it(
    visitor: Visitor, admin: Customer, product: dict[str, Any], available: int
) -> None:
    answer = admin.put(f"/api/inventory/{product['sku']}", {"available": available})
    assert answer.status_code == 200
    assert answer.json() == {"sku": product["sku"], "available": available}
    assert visitor.available(product["sku"]) == available


@pytest.mark.parametrize("available", [-1, 1_000_001, 10**30, "5", 5.0, 0.5, True, None, {"n": 5}])
def test_an_invalid_stock_is_refused_and_changes_nothing(
    visitor: Visitor, admin: Customer, product: dict[str, Any], available: Any
) -> None:
    answer = admin.put(f"/api/inventory/{product['sku']}", {"available": available})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "available"
    assert visitor.available(product["sku"]) == 1000


def test_the_stock_of_an_unknown_product_answers_404(admin: Customer) -> None:
    answer = admin.put("/api/inventory/NO-SUCH-SKU", {"available": 5})
    assert answer.status_code == 404
    assert answer.json()["sku"] == "NO-SUCH-SKU"


def test_a_cart_does_not_change_the_stock(visitor: Visitor, customer: Customer, shelf: Shelf) -> None:
    sku = shelf.pick(available=3)["sku"]
    customer.put_in_cart(sku, 2)
    assert visitor.available(sku) == 3
