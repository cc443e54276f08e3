"""The API of the cart."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Blueprint
from pydantic import Field

from ..chassis.auth import require_customer
from ..chassis.database import writing
from ..chassis.validation import Body, body
from . import service

api = Blueprint("cart", __name__)


class Quantity(Body):
    quantity: Annotated[int, Field(ge=1, le=99)]


@api.get("/api/cart")
def read() -> dict[str, Any]:
    """Show the customer's cart."""
    return service.read(require_customer().customer_id)


@api.put("/api/cart/items/<sku>")
def put(sku: str) -> dict[str, Any]:
    """Put a product into the cart, or change how many."""
    customer_id = require_customer().customer_id
    wanted = body(Quantity)
    return service.put(customer_id, sku, wanted.quantity)


@api.delete("/api/cart/items/<sku>")
def remove(sku: str) -> tuple[str, int]:
    """Take a product out of the cart."""
    customer_id = require_customer().customer_id
    with writing() as db:
        service.remove(db, customer_id, sku)
    return "", 204


@api.delete("/api/cart")
def clear() -> tuple[str, int]:
    """Empty the cart."""
    customer_id = require_customer().customer_id
    with writing() as db:
        service.clear(db, customer_id)
    return "", 204
