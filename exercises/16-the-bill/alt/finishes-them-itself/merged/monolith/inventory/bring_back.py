"""Brings the stock back from the database of the service: `python -m monolith.inventory.bring_back FILE`.

Both are stopped meanwhile. What is reserved belongs to a checkout that is not finished. Without an order it is released
here, and with one it is sold. And it is done once, because a second time would take back what was sold since then.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, inspect, select, text

from ..chassis import serving_lock
from ..chassis.config import Config, ConfigError
from ..chassis.database import Database
from .models import Stock

UNFINISHED = "unfinished_checkouts"
"""The saga's table in the monolith's database."""


def bring_back(file: Path) -> int:
    """Fill the monolith's table from this file, all of it or nothing; returns the number of products."""
    config = Config.from_env(os.environ)
    with serving_lock.exclusive(config.database_url):
        rows, held = _stock(file)
        database = Database(config.database_url)
        database.create_tables()
        with database.writing() as db:
            if db.execute(select(func.count()).select_from(Stock)).scalar_one():
                raise ConfigError("The stock is here already; what was sold since then would be lost.")
            sold = set(db.execute(text("SELECT id FROM orders")).scalars())
            for order_id, sku, quantity in held:
                rows[sku]["sold" if order_id in sold else "available"] += quantity
            if inspect(db).has_table(UNFINISHED):
                db.execute(text("DELETE FROM idempotency_keys WHERE status IS NULL"))
                db.execute(text(f"DELETE FROM {UNFINISHED}"))  # noqa: S608 -- a constant
            db.execute(insert(Stock), list(rows.values()))
        database.dispose()
    return len(rows)


def _stock(file: Path) -> tuple[dict[str, dict[str, Any]], list[Any]]:
    """The rows by SKU, and what is reserved: order, SKU and quantity."""
    if not file.is_file():
        raise ConfigError(f"There is no file {file}; give the database of the inventory service.")
    with closing(sqlite3.connect(file)) as db:
        db.row_factory = sqlite3.Row
        rows = [dict(row) for row in db.execute("SELECT sku, received, available, sold FROM stock")]
        query = "SELECT order_id, sku, quantity FROM reservations JOIN reserved_lines USING (order_id) WHERE status = ?"
        held = [tuple(row) for row in db.execute(query, ("reserved",))]
    return {row["sku"]: row for row in rows}, held


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: python -m monolith.inventory.bring_back FILE")
    try:
        print(f"{bring_back(Path(sys.argv[1]))} products are back.")  # noqa: T201 -- a program for the terminal
    except ConfigError as error:
        sys.exit(str(error))
