"""The monolith's side of a contract: it reads the catalog's internal API. microservices/catalog/internal.py answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypedDict

from microservices.chassis.client import require_keys

from .client import get

CALLER = {"User-Agent": "monolith"}


class Product(TypedDict):
    """What the shop relies on in a product, whichever price it has."""

    sku: str
    name: str
    description: str
    category: str


class Products(TypedDict):
    """A list of products."""

    items: list[Product]


def batch(skus: Sequence[str]) -> dict[str, Any]:
    """The products with these SKUs, in the order asked, with the price in cents; unknown ones are left out."""
    if not skus:
        return {"items": []}
    return get("/internal/products", {"sku": ",".join(skus), "reads": "price_cents"}, read, CALLER)


def read(document: Any) -> dict[str, Any]:
    """The answer as the shop uses it; raises when it is not as agreed."""
    answer = require_keys(Products)(document)
    return {"items": [as_product(item) for item in answer["items"]]}


def as_product(item: Mapping[str, Any]) -> dict[str, Any]:
    """A product with its price in cents; yesterday's catalog gives only a text of euros."""
    price_cents = item["price_cents"] if "price_cents" in item else int(Decimal(item["price"]) * 100)
    return {**item, "price_cents": price_cents}
