"""The feed of orders over HTTP, for services in other processes."""

from __future__ import annotations

from typing import Any

from ..chassis.database import reading
from ..chassis.validation import query_number
from ..neighbours import require_service
from .feed import feed
from .routes import api

MAX_EVENTS = 500


@api.get("/internal/events")
def events() -> dict[str, Any]:
    """Give the recommendations service the confirmed orders after a position."""
    require_service("recommendations")
    after = query_number("after", 0, 0, 999_999_999)
    limit = query_number("limit", MAX_EVENTS, 1, MAX_EVENTS)
    with reading() as db:
        return feed(db, after, limit)
