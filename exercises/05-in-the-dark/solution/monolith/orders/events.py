"""The feed of orders over HTTP, for services in other processes."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from ..chassis.database import reading
from ..chassis.validation import query_number
from ..neighbours import require_service
from .feed import feed

MAX_EVENTS = 500


events = Blueprint("events", __name__)


@events.get("/internal/events")
def show() -> dict[str, Any]:
    """Give the recommendations service the confirmed orders after a position."""
    require_service("recommendations")
    after = query_number("after", 0, 0)
    limit = query_number("limit", MAX_EVENTS, 1, MAX_EVENTS)
    with reading() as db:
        return feed(db, after, limit)
