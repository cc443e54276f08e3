"""Brings the stock back from the database of the service: `python -m monolith.inventory.bring_back FILE`.

Both are stopped meanwhile. What is reserved belongs to a checkout that is not finished: the split shop has to finish it
first. And it is done once, because a second time would take back what was sold since then.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, func, insert, inspect, select, text

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
        rows = _stock(file)
        database = Database(config.database_url)
        database.create_tables()
        with database.writing() as db:
            if db.execute(select(func.count()).select_from(Stock)).scalar_one():
                raise ConfigError("The stock is here already; what was sold since then would be lost.")
            _require_finished(db)
            db.execute(insert(Stock), rows)
        database.dispose()
    return len(rows)


def _stock(file: Path) -> list[dict[str, int | str]]:
    if not file.is_file():
        raise ConfigError(f"There is no file {file}; give the database of the inventory service.")
    with closing(sqlite3.connect(file)) as db:
        db.row_factory = sqlite3.Row
        rows = [dict(row) for row in db.execute("SELECT sku, received, available, reserved, sold FROM stock")]
    if any(row.pop("reserved") for row in rows):
        raise ConfigError("Pieces are still reserved; start the split shop, and let it finish its checkouts.")
    return rows


def _require_finished(db: Connection) -> None:
    if not inspect(db).has_table(UNFINISHED):
        return
    count = db.execute(text(f"SELECT count(*) FROM {UNFINISHED}")).scalar_one()  # noqa: S608 -- a constant
    if count:
        raise ConfigError(f"{count} checkouts are not finished; let the split shop finish them first.")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: python -m monolith.inventory.bring_back FILE")
    try:
        print(f"{bring_back(Path(sys.argv[1]))} products are back.")  # noqa: T201 -- a program for the terminal
    except ConfigError as error:
        sys.exit(str(error))
