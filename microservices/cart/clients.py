"""A client of the catalog for the cart: which of these products exist, with their names and prices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..chassis.client import require_keys, upstream
from .answers import Product, Products

PRODUCTS = require_keys(Products)


def products(skus: Iterable[str]) -> dict[str, Product]:
    """The products with these SKUs, by SKU; unknown ones are missing. One call for all of them."""
    wanted = ",".join(sorted(skus))
    if not wanted:
        return {}
    return upstream("catalog").get("/api/products", {"sku": wanted}, read=_by_sku)


def _by_sku(answer: Any) -> dict[str, Product]:
    return {product["sku"]: product for product in PRODUCTS(answer)["items"]}
