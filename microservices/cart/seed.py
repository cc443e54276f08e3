"""Empties the cart service: `python -m microservices.cart.seed FOLDER`. All carts start empty."""

from __future__ import annotations

import sys
from pathlib import Path

from ..seeding import Tables, seed
from .models import Base


def tables(_folder: Path) -> Tables:
    """What to fill, and with what."""
    return []


if __name__ == "__main__":
    sys.exit(seed("cart", Base, tables, sys.argv[1:]))
