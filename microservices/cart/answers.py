"""What the cart relies on in the catalog's answers. A test holds it against docs/openapi.yaml."""

from __future__ import annotations

from typing import TypedDict


class Product(TypedDict):
    sku: str
    name: str
    price_cents: int


class Products(TypedDict):
    items: list[Product]
