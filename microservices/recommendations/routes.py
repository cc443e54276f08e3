"""The API of recommendations."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, request

from ..chassis.auth import current_identity
from ..chassis.database import reading
from ..chassis.errors import Problem
from ..chassis.validation import invalid, query_number
from . import service

api = Blueprint("recommendations", __name__)

SKU = re.compile(r"[A-Z0-9][A-Z0-9-]{1,19}")
MOST_CART_SKUS = 50


class UnknownProduct(Problem):
    status, slug, title = 404, "unknown-product", "There is no such product"

    def __init__(self, sku: str) -> None:
        super().__init__(f"The shop has no product {sku}.", sku=sku)


@api.get("/api/products/<sku>/recommendations")
def suggest(sku: str) -> dict[str, Any]:
    """Show what goes well with a product."""
    identity = current_identity()
    cart, limit = _query_skus("cart", MOST_CART_SKUS), query_number("limit", 8, 1, 20)
    if not SKU.fullmatch(sku):
        raise UnknownProduct(sku)
    with reading() as db:
        return service.suggest(db, sku, cart, identity.customer_id if identity else None, limit)


def _query_skus(name: str, most: int) -> list[str]:
    skus = [part for part in request.args.get(name, "").split(",") if part]
    if len(skus) > most:
        raise invalid(name, f"must name at most {most} products")
    if not all(SKU.fullmatch(sku) for sku in skus):
        raise invalid(name, "must be a comma-separated list of SKUs")
    return list(dict.fromkeys(skus))
