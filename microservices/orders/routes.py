"""The API of orders."""

from __future__ import annotations

import re
from typing import Annotated, Any

from flask import Blueprint, request
from pydantic import AfterValidator, Field

from ..chassis.auth import require_customer, require_service
from ..chassis.database import reading
from ..chassis.errors import Problem
from ..chassis.events import FEED_PATH, MAX_EVENTS, Feed, feed
from ..chassis.validation import Body, body, query_number
from . import service
from .checkout import REPLAYED, checkout
from .models import Outbox

api = Blueprint("orders", __name__)

KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")


class KeyRequired(Problem):
    status, slug, title = 400, "idempotency-key-required", "An Idempotency-Key is needed"


def without_spaces(card_number: str) -> str:
    """The digits of the card number."""
    return card_number.replace(" ", "")


class Checkout(Body):
    card_number: Annotated[
        str, Field(pattern=r"^ *([0-9] *){12,19}$", max_length=40), AfterValidator(without_spaces)
    ]


@api.post("/api/orders")
def place() -> tuple[dict[str, Any], int, dict[str, str]]:
    """Buy what is in the cart."""
    customer_id = require_customer().customer_id
    key = request.headers.get("Idempotency-Key", "")
    if not KEY.fullmatch(key):
        raise KeyRequired("Send an Idempotency-Key header of 8 to 64 letters, digits, - or _.")
    given = body(Checkout)
    placed = checkout(customer_id, key, given.card_number)
    headers = {"Location": f"/api/orders/{placed.order['id']}"}
    return placed.order, 201, {**headers, **REPLAYED} if placed.replayed else headers


@api.get("/api/orders")
def history() -> dict[str, Any]:
    """List the customer's orders."""
    customer_id = require_customer().customer_id
    page, page_size = query_number("page", 1, 1, 10_000), query_number("page_size", 20, 1, 100)
    with reading() as db:
        return service.history(db, customer_id, page, page_size)


@api.get("/api/orders/<order_id>")
def show(order_id: str) -> dict[str, Any]:
    """Show one of the customer's orders."""
    customer_id = require_customer().customer_id
    with reading() as db:
        return service.show(db, customer_id, order_id)


@api.get(FEED_PATH)
def events() -> Feed:
    """List the orders' events after a position."""
    require_service("recommendations")
    after, limit = (
        query_number("after", 0, 0),
        query_number("limit", MAX_EVENTS, 1, MAX_EVENTS),
    )
    with reading() as db:
        return feed(db, Outbox, after, limit)
