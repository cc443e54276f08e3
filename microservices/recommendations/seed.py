"""Fills recommendations with the counts of past orders: `python -m microservices.recommendations.seed FOLDER`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from ..seeding import Tables, rows, seed
from .learning import Bought, count
from .models import Base, CoPurchase, Popularity, Purchase


def tables(folder: Path) -> Tables:
    """What to fill, and with what."""
    counted = count(_bought(folder))
    return [
        (Popularity, counted.popularity),
        (CoPurchase, counted.co_purchases),
        (Purchase, counted.purchases),
    ]


def _bought(folder: Path) -> Iterator[Bought]:
    for number, order in enumerate(rows(folder, "orders"), start=1):
        products = {item["sku"]: item["category"] for item in order["items"]}
        yield Bought(number, order["customer_id"], products)


if __name__ == "__main__":
    sys.exit(seed("recommendations", Base, tables, sys.argv[1:]))
