"""The API of recommendations."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from ..catalog import UnknownProduct
from ..chassis.auth import current_identity
from ..chassis.database import reading
from ..chassis.validation import query_number
from ..skus import is_sku, query_skus
from . import service

api = Blueprint("recommendations", __name__)

MAX_CART_SKUS = 50


@api.get("/api/products/<sku>/recommendations")
def suggest(sku: str) -> dict[str, Any]:
    """Show what goes well with a product."""
    identity = current_identity()
    cart, limit = query_skus("cart", MAX_CART_SKUS), query_number("limit", 8, 1, 20)
    if not is_sku(sku):
        raise UnknownProduct(sku)
    with reading() as db:
        return service.suggest(db, sku, cart, identity.customer_id if identity else None, limit)
