"""Fills recommendations' database: what past orders teach, and the position in the feed of the last of them.

Without the position the service would read the feed from the start and count every past order twice.
"""

from __future__ import annotations

import sys
from pathlib import Path

from microservices.recommendations.models import Base, FeedPosition
from microservices.recommendations.seed import past_orders
from microservices.seeding import Tables, rows, seed


def copied(folder: Path) -> Tables:
    """The tables of the data set, and the number of its last order as the position to read on from."""
    last = sum(1 for _ in rows(folder, "orders"))
    return [*past_orders(folder), (FeedPosition, [{"feed": "orders", "position": last}])]


if __name__ == "__main__":
    sys.exit(seed("recommendations", Base, copied, sys.argv[1:]))
