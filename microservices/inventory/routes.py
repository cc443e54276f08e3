"""The API of the inventory: the public part, and what only orders may do."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Blueprint
from pydantic import Field

from ..chassis.auth import require_admin, require_service
from ..chassis.database import reading, writing
from ..chassis.validation import Body, body
from . import service

api = Blueprint("inventory", __name__)

ORDER_ID = "<string(minlength=1, maxlength=64):order_id>"


class Available(Body):
    available: Annotated[int, Field(ge=0, le=1_000_000)]


class Line(Body):
    sku: Annotated[str, Field(pattern="^[A-Z0-9][A-Z0-9-]{1,19}$")]
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]


class Order(Body):
    order_id: Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,64}$")]
    items: Annotated[list[Line], Field(min_length=1, max_length=100)]


@api.get("/api/inventory/<sku>")
def availability(sku: str) -> dict[str, Any]:
    """Show how many of a product can be bought."""
    with reading() as db:
        return service.availability(db, sku)


@api.put("/api/inventory/<sku>")
def set_available(sku: str) -> dict[str, Any]:
    """Set how many of a product can be bought."""
    require_admin()
    wanted = body(Available)
    with writing() as db:
        return service.set_available(db, sku, wanted.available)


@api.post("/internal/reservations")
def reserve() -> tuple[dict[str, Any], int]:
    """Reserve pieces for an order."""
    require_service("orders")
    order = body(Order)
    wanted: dict[str, int] = {}
    for line in order.items:
        wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
    with writing() as db:
        return service.reserve(db, order.order_id, wanted), 201


@api.post(f"/internal/reservations/{ORDER_ID}/commit")
def commit(order_id: str) -> dict[str, Any]:
    """Count what is reserved for an order as sold."""
    require_service("orders")
    with writing() as db:
        return service.commit(db, order_id)


@api.post(f"/internal/reservations/{ORDER_ID}/release")
def release(order_id: str) -> dict[str, Any]:
    """Release what is reserved for an order."""
    require_service("orders")
    with writing() as db:
        return service.release(db, order_id)
