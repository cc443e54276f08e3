"""The catalog, as the cart sees it: which of these products are there, and what are they called and sold for?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..chassis.client import require_keys, upstream
from .answers import Product, Products

PRODUCTS = require_keys(Products)


def products(skus: Iterable[str]) -> dict[str, Product]:
    """The products with these SKUs, by SKU; unknown ones are missing. One call, however many."""
    wanted = ",".join(sorted(skus))
    if not wanted:
        return {}
    return upstream("catalog").get("/api/products", {"sku": wanted}, read=_by_sku)


def _by_sku(answer: Any) -> dict[str, Product]:
    return {product["sku"]: product for product in PRODUCTS(answer)["items"]}
