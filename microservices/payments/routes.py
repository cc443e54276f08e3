"""The API of payments; all of it is for orders only."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Blueprint
from pydantic import Field

from ..chassis.auth import require_service
from ..chassis.database import writing
from ..chassis.validation import Body, body
from . import service

api = Blueprint("payments", __name__)


class Order(Body):
    order_id: Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,64}$")]
    amount_cents: Annotated[int, Field(ge=0, le=2**53)]
    card_number: Annotated[str, Field(pattern="^[0-9]{12,19}$")]


@api.post("/internal/payments")
def capture() -> tuple[dict[str, Any], int]:
    """Take the money for an order."""
    require_service("orders")
    order = body(Order)
    return service.capture(order.order_id, order.amount_cents, order.card_number), 201


@api.post("/internal/payments/<string(minlength=1, maxlength=64):order_id>/refund")
def refund(order_id: str) -> dict[str, Any]:
    """Give back what was taken for an order."""
    require_service("orders")
    with writing() as db:
        return service.refund(db, order_id)
