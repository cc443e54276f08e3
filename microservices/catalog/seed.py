"""Fills the catalog from a data set: `python -m microservices.catalog.seed FOLDER`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..seeding import Tables, rows, seed
from .models import Base, Category, Product


def tables(folder: Path) -> Tables:
    """What to fill, and with what."""
    return [(Category, rows(folder, "categories")), (Product, _products(folder))]


def _products(folder: Path) -> Iterator[dict[str, Any]]:
    for row in rows(folder, "products"):
        yield {**row, "search_text": f"{row['name']} {row['description']}".lower()}


if __name__ == "__main__":
    sys.exit(seed("catalog", Base, tables, sys.argv[1:]))
