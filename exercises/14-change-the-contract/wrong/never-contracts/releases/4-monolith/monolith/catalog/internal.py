"""The monolith's side of a contract: it reads the catalog's internal API. microservices/catalog/internal.py answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from microservices.chassis.client import require_keys

from .client import get

CALLER = {"User-Agent": "monolith"}


class Product(TypedDict):
    """What the shop relies on in a product."""

    sku: str
    name: str
    description: str
    category: str
    price_cents: int


class Products(TypedDict):
    """A list of products."""

    items: list[Product]


def batch(skus: Sequence[str]) -> dict[str, Any]:
    """The products with these SKUs, in the order asked, with the price in cents; unknown ones are left out."""
    if not skus:
        return {"items": []}
    return get("/internal/products", {"sku": ",".join(skus)}, require_keys(Products), CALLER)
