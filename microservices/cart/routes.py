"""The API of the cart: the public part, and what only orders may do."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Blueprint
from pydantic import Field

from ..chassis.auth import require_customer, require_service
from ..chassis.database import reading, writing
from ..chassis.validation import Body, body
from . import service

api = Blueprint("cart", __name__)

CUSTOMER_ID = "<string(minlength=1, maxlength=32):customer_id>"


class Quantity(Body):
    quantity: Annotated[int, Field(ge=1, le=99)]


class Line(Body):
    sku: Annotated[str, Field(pattern="^[A-Z0-9][A-Z0-9-]{1,19}$")]
    quantity: Annotated[int, Field(ge=1, le=99)]


class Ordered(Body):
    items: Annotated[list[Line], Field(max_length=100)]


@api.get("/api/cart")
def read() -> dict[str, Any]:
    """Show the customer's cart."""
    customer_id = require_customer().customer_id
    return service.read(customer_id)


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


@api.get(f"/internal/carts/{CUSTOMER_ID}")
def lines(customer_id: str) -> dict[str, Any]:
    """Show the lines that a customer is about to order."""
    require_service("orders")
    with reading() as db:
        quantities = service.lines(db, customer_id)
    return {"items": [{"sku": sku, "quantity": quantity} for sku, quantity in quantities.items()]}


@api.post(f"/internal/carts/{CUSTOMER_ID}/checked-out")
def checked_out(customer_id: str) -> tuple[str, int]:
    """Take what was ordered out of the cart."""
    require_service("orders")
    ordered = {line.sku: line.quantity for line in body(Ordered).items}
    with writing() as db:
        service.check_out(db, customer_id, ordered)
    return "", 204
