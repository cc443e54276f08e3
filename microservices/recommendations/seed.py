"""Fills recommendations with what past orders teach: `python -m microservices.recommendations.seed FOLDER`.

The past orders are also in the orders' feed, so the position after them is stored, too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from ..seeding import Tables, rows, seed
from .learning import Bought, count
from .models import Base, CoPurchase, FeedPosition, Popularity, Purchase


def past_orders(folder: Path) -> Tables:
    """What past orders teach, without the position in the feed."""
    counted = count(_bought(folder))
    return [
        (Popularity, counted.popularity),
        (CoPurchase, counted.co_purchases),
        (Purchase, counted.purchases),
    ]


def tables(folder: Path) -> Tables:
    """What to fill, and with what; the position is that of the last past order in the orders' feed."""
    last = sum(1 for _ in rows(folder, "orders"))
    return [*past_orders(folder), (FeedPosition, [{"feed": "orders", "position": last}])]


def _bought(folder: Path) -> Iterator[Bought]:
    for number, order in enumerate(rows(folder, "orders"), start=1):
        products = {item["sku"]: item["category"] for item in order["items"]}
        yield Bought(number, order["customer_id"], products)


if __name__ == "__main__":
    sys.exit(seed("recommendations", Base, tables, sys.argv[1:]))
