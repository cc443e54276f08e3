"""Fills orders with past ones: `python -m microservices.orders.seed FOLDER`. The feed starts after them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..seeding import Tables, rows, seed
from .models import Base, Order, OrderLine, Step


def tables(folder: Path) -> Tables:
    """What to fill, and with what."""
    return [(Order, _orders(folder)), (OrderLine, _lines(folder))]


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


if __name__ == "__main__":
    sys.exit(seed("orders", Base, tables, sys.argv[1:]))
