"""Fills orders with past ones: `python -m microservices.orders.seed FOLDER`.

The outbox gets their events, too. So a service that lost its data can learn everything again from the feed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..seeding import Tables, rows, seed
from .models import Base, Order, OrderLine, Outbox, Step
from .store import CONFIRMED_EVENT, PricedOrder, event


def tables(folder: Path) -> Tables:
    """What to fill, and with what."""
    return [(Order, _orders(folder)), (OrderLine, _lines(folder)), (Outbox, _events(folder))]


def _orders(folder: Path) -> Iterator[dict[str, Any]]:
    for number, order in enumerate(rows(folder, "orders"), start=1):
        yield {
            "number": number,
            "id": order["id"],
            "customer_id": order["customer_id"],
            "total_cents": order["total_cents"],
            "created_at": order["created_at"],
            "step": Step.SETTLED,
            "lease_until": 0.0,
        }


def _lines(folder: Path) -> Iterator[dict[str, Any]]:
    for number, order in enumerate(rows(folder, "orders"), start=1):
        yield from ({"order_number": number, **line} for line in order["items"])


def _events(folder: Path) -> Iterator[dict[str, Any]]:
    # The database assigns the positions, in this order: PostgreSQL counts on from those that it assigned itself.
    for number, row in enumerate(rows(folder, "orders"), start=1):
        order = PricedOrder(row["id"], row["customer_id"], row["created_at"], row["items"])
        yield {"type": CONFIRMED_EVENT, "data": event(order, number)}


if __name__ == "__main__":
    sys.exit(seed("orders", Base, tables, sys.argv[1:]))
