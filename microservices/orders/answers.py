"""What checkout relies on in the answers of other services.

A test holds the public ones against docs/openapi.yaml, and the internal ones against what the services really answer.
"""

from __future__ import annotations

from typing import TypedDict


class Product(TypedDict):
    sku: str
    name: str
    category: str
    price_cents: int


class Products(TypedDict):
    items: list[Product]


class CartLine(TypedDict):
    sku: str
    quantity: int


class CartLines(TypedDict):
    items: list[CartLine]


class Effect(TypedDict):
    """The state of an order at the inventory or at payments."""

    order_id: str
    status: str
