"""What the pages rely on in the answers of other services. A test holds it against docs/openapi.yaml.

An answer without one of these members is the other service's failure, not one of the page's.
"""

from __future__ import annotations

from typing import Generic, TypedDict, TypeVar

T = TypeVar("T")


class Listed(TypedDict, Generic[T]):
    """What all lists have in common."""

    items: list[T]


class Token(TypedDict):
    token: str
    expires_in: int


class Category(TypedDict):
    slug: str
    name: str
    products: int


class Categories(TypedDict):
    items: list[Category]


class Product(TypedDict):
    sku: str
    name: str
    category: str
    price_cents: int


class Products(TypedDict):
    items: list[Product]
    page: int
    page_size: int
    total: int


class Recommendation(TypedDict):
    sku: str


class Recommendations(TypedDict):
    items: list[Recommendation]


class Availability(TypedDict):
    available: int


class Line(TypedDict):
    sku: str
    name: str
    quantity: int
    line_total_cents: int


class Cart(TypedDict):
    items: list[Line]
    total_cents: int


class PlacedOrder(TypedDict):
    id: str


class Order(TypedDict):
    id: str
    status: str
    items: list[Line]
    total_cents: int
    created_at: str


class Orders(TypedDict):
    items: list[Order]
    page: int
    page_size: int
    total: int
