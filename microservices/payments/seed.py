"""Fills payments from a data set: `python -m microservices.payments.seed FOLDER`. Past orders were all paid."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..seeding import Tables, rows, seed
from .models import Base, Payment, Status


def tables(folder: Path) -> Tables:
    """What to fill, and with what."""
    return [(Payment, _payments(folder))]


def _payments(folder: Path) -> Iterator[dict[str, Any]]:
    for order in rows(folder, "orders"):
        yield {
            "order_id": order["id"],
            "status": Status.CAPTURED,
            "captured_cents": order["total_cents"],
            "refunded_cents": 0,
        }


if __name__ == "__main__":
    sys.exit(seed("payments", Base, tables, sys.argv[1:]))
