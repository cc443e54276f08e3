"""The API of the catalog."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Blueprint
from pydantic import Field

from ..chassis.auth import require_admin
from ..chassis.database import reading, writing
from ..chassis.validation import Body, body, query_number, query_text
from ..skus import query_skus
from . import service

api = Blueprint("catalog", __name__)

MAX_SKUS = 100


class Price(Body):
    price_cents: Annotated[int, Field(ge=1, le=10_000_000)]


@api.get("/api/categories")
def categories() -> dict[str, Any]:
    """List the categories."""
    with reading() as db:
        return service.categories(db)


@api.get("/api/products")
def products() -> dict[str, Any]:
    """List or search the products, or fetch a batch by SKU."""
    skus = query_skus("sku", MAX_SKUS)
    category, q = query_text("category", 40), query_text("q", 100)
    page, page_size = query_number("page", 1, 1, 10_000), query_number("page_size", 20, 1, 100)
    with reading() as db:
        if skus:
            return service.batch(db, skus)
        return service.products(db, category, q, page, page_size)


@api.get("/api/products/<sku>")
def product(sku: str) -> dict[str, Any]:
    """Show one product."""
    with reading() as db:
        return service.product(db, sku)


@api.put("/api/products/<sku>/price")
def set_price(sku: str) -> dict[str, Any]:
    """Set the price of a product."""
    require_admin()
    price = body(Price)
    with writing() as db:
        return service.set_price(db, sku, price.price_cents)
