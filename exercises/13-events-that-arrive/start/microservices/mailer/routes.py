"""What the mailer is told. An answer of 200 means: the mailer has it, and it need not be sent again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from flask import Blueprint
from pydantic import Field

from ..chassis.auth import require_service
from ..chassis.validation import Body, body
from . import service

events = Blueprint("events", __name__)


class OrderConfirmed(Body):
    """The content of an event."""

    order_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    number: Annotated[int, Field(ge=1)]
    total_cents: Annotated[int, Field(ge=0)]
    at: str
    name: str
    email: str


class Event(Body):
    """An event of orders, which is still inside the monolith."""

    id: Annotated[str, Field(min_length=8, max_length=64)]
    type: Literal["order-confirmed"]
    data: OrderConfirmed


@events.post("/internal/events")
def take() -> dict[str, Any]:
    """Take an event, once."""
    require_service("orders")
    event = body(Event)
    service.take(event.id, event.data.model_dump())
    return {"id": event.id}
