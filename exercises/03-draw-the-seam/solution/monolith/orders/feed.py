"""The orders' feed: for other modules, one event for each confirmed order, with its items.

Others read this feed instead of the tables, so orders may change the tables. The fields of an event are a contract:
their names stay.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

from sqlalchemy import Connection, bindparam, select

from .models import Order, OrderLine, Status

NUMBERS = (
    select(Order.number)
    .where(Order.number > bindparam("after"), Order.status == Status.CONFIRMED)
    .order_by(Order.number)
    .limit(bindparam("limit"))
)
CONFIRMED = (
    select(
        Order.number,
        Order.id,
        Order.customer_id,
        Order.created_at,
        OrderLine.sku,
        OrderLine.quantity,
        OrderLine.category,
    )
    .join(OrderLine)
    .where(Order.number.in_(NUMBERS))
    .order_by(Order.number)
)


def feed(db: Connection, after: int, limit: int) -> dict[str, Any]:
    """The confirmed orders after the position `after`, oldest first, at most `limit` of them."""
    rows = db.execute(CONFIRMED, {"after": after, "limit": limit})
    orders = groupby(rows, key=lambda row: (row.number, row.id, row.customer_id, row.created_at))
    return {"events": [_event(*order, list(lines)) for order, lines in orders]}


def _event(number: int, order_id: str, customer_id: str, at: str, lines: list[Any]) -> dict[str, Any]:
    return {
        "position": number,
        "type": "order-confirmed",
        "data": {
            "order_id": order_id,
            "number": number,
            "customer_id": customer_id,
            "at": at,
            "items": [
                {"sku": line.sku, "quantity": line.quantity, "category": line.category} for line in lines
            ],
        },
    }
