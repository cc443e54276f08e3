"""Gives recommendations its beginning: what past orders teach, and up to where in the feed that goes.

A copy without its position is worth little: whoever reads on from zero counts every past order twice.
"""

from __future__ import annotations

import sys
from pathlib import Path

from microservices.recommendations.models import Base, FeedPosition
from microservices.recommendations.seed import tables
from microservices.seeding import Tables, rows, seed


def copied(folder: Path) -> Tables:
    """The tables of the data set, and the number of its last order as the position to read on from."""
    last = sum(1 for _ in rows(folder, "orders"))
    return [*tables(folder), (FeedPosition, [{"feed": "orders", "position": last}])]


if __name__ == "__main__":
    sys.exit(seed("recommendations", Base, copied, sys.argv[1:]))
