"""The API of recommendations."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from ..chassis.auth import current_identity
from ..chassis.errors import Problem
from ..chassis.validation import query_number
from ..skus import is_sku, query_skus
from .interface import recommender

api = Blueprint("recommendations", __name__)

MAX_CART_SKUS = 50


class UnknownProduct(Problem):
    """The same problem as the catalog's, declared here so that nothing is imported from the catalog."""

    status, slug, title = 404, "unknown-product", "There is no such product"

    def __init__(self, sku: str) -> None:
        super().__init__(f"The shop has no product {sku}.", sku=sku)


@api.get("/api/products/<sku>/recommendations")
def suggest(sku: str) -> dict[str, Any]:
    """Show what goes well with a product."""
    identity = current_identity()
    cart, limit = query_skus("cart", MAX_CART_SKUS), query_number("limit", 8, 1, 20)
    if not is_sku(sku):
        raise UnknownProduct(sku)
    return recommender().suggest(sku, cart, identity.customer_id if identity else None, limit)
