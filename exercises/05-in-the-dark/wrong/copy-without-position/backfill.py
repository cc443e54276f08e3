"""Fills recommendations' database: what past orders teach."""

from __future__ import annotations

import sys
from pathlib import Path

from microservices.recommendations.models import Base
from microservices.recommendations.seed import past_orders
from microservices.seeding import Tables, seed


def copied(folder: Path) -> Tables:
    """The tables of the data set."""
    return past_orders(folder)


if __name__ == "__main__":
    sys.exit(seed("recommendations", Base, copied, sys.argv[1:]))
