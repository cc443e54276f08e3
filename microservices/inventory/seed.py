"""Fills the inventory from a data set: `python -m microservices.inventory.seed FOLDER`.

What past orders took counts as sold, so that received = available + reserved + sold holds from the start.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..seeding import Tables, rows, seed
from .models import Base, Stock


def tables(folder: Path) -> Tables:
    """What to fill, and with what."""
    return [(Stock, _stock(folder))]


def _stock(folder: Path) -> Iterator[dict[str, Any]]:
    sold: Counter[str] = Counter()
    for order in rows(folder, "orders"):
        for line in order["items"]:
            sold[line["sku"]] += line["quantity"]
    for row in rows(folder, "stock"):
        gone = sold[row["sku"]]
        yield {**row, "reserved": 0, "sold": gone, "received": row["available"] + gone}


if __name__ == "__main__":
    sys.exit(seed("inventory", Base, tables, sys.argv[1:]))
