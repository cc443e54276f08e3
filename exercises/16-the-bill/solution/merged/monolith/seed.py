"""Fills a database with the data set; a SQLite file is made once, kept as a template and copied from then on."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, insert, make_url

from . import accounts
from .accounts.models import Customer
from .cart.models import CartLine
from .chassis import serving_lock
from .chassis.config import Config, sqlite_url
from .chassis.database import Base, Database
from .dataset import DEMO_PASSWORD, Dataset, Sizes, make_dataset
from .inventory.models import Stock
from .orders.models import Order, OrderCounter, OrderLine, Status
from .payments.models import Payment

ROWS_AT_A_TIME = 5_000
KEEP = 4
"""Templates that stay in the cache: switching between a few versions or sizes is common."""


def seed(config: Config, sizes: Sizes) -> None:
    """Replace the shop's data with the data set of these sizes; raises ConfigError while it is being served."""
    with serving_lock.exclusive(config.database_url):
        _seed(config, sizes)


def _seed(config: Config, sizes: Sizes) -> None:
    url = make_url(config.database_url)
    if url.get_backend_name() != "sqlite":
        _fill(config.database_url, sizes)
        return
    template = config.home / "cache" / f"monolith-{fingerprint(sizes)}.sqlite3"
    if not template.exists():
        unfinished = template.with_suffix(f".{os.getpid()}")
        _fill(sqlite_url(unfinished), sizes)
        unfinished.rename(template)
        _prune(template.parent)
    assert url.database is not None
    _replace(Path(url.database), template)


def fingerprint(sizes: Sizes) -> str:
    """A name for the seeded data: it changes with the sizes and with the code that makes the data."""
    here = Path(__file__).parent
    digest = hashlib.sha256(repr(astuple(sizes)).encode())
    for source in sorted(
        [
            *here.glob("*/models.py"),
            here / "dataset.py",
            here / "seed.py",
        ]
    ):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def export(folder: Path, sizes: Sizes) -> None:
    """Write the data set as JSON lines, one file for each table."""
    make_dataset(sizes, accounts.hash_password(DEMO_PASSWORD)).write(folder)


def _prune(cache: Path) -> None:
    kept = sorted(cache.glob("monolith-*.sqlite3"), key=lambda file: file.stat().st_mtime)
    for old in kept[:-KEEP]:
        old.unlink(missing_ok=True)


def _replace(target: Path, template: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    for leftover in ("-wal", "-shm"):
        target.with_name(target.name + leftover).unlink(missing_ok=True)
    fresh = target.with_name(target.name + ".new")
    shutil.copyfile(template, fresh)
    fresh.rename(target)


def _fill(url: str, sizes: Sizes) -> None:
    data = make_dataset(sizes, accounts.hash_password(DEMO_PASSWORD))
    database = Database(url)
    Base.metadata.drop_all(database.engine)
    database.create_tables()
    with database.writing() as db:
        for model, rows in _rows(data):
            _insert(db, model, rows)
    # The template is copied as one file, so everything must leave the write-ahead log first.
    if database.is_sqlite:
        with database.reading() as db:
            db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()


def _rows(data: Dataset) -> Iterator[tuple[type[Base], Iterable[dict[str, Any]]]]:
    yield Customer, data.customers
    sold: dict[str, int] = {}
    for order in data.orders:
        for line in order["items"]:
            sold[line["sku"]] = sold.get(line["sku"], 0) + line["quantity"]
    yield (
        Stock,
        (
            {
                **row,
                "sold": sold.get(row["sku"], 0),
                "received": row["available"] + sold.get(row["sku"], 0),
            }
            for row in data.stock
        ),
    )
    numbered = list(enumerate(data.orders, start=1))
    yield (
        Order,
        (
            {
                "number": number,
                "id": order["id"],
                "customer_id": order["customer_id"],
                "status": Status.CONFIRMED,
                "total_cents": order["total_cents"],
                "created_at": order["created_at"],
            }
            for number, order in numbered
        ),
    )
    yield (
        OrderLine,
        ({"order_number": number, **line} for number, order in numbered for line in order["items"]),
    )
    yield CartLine, []
    yield OrderCounter, [{"id": 1, "last": len(data.orders)}]
    yield (
        Payment,
        (
            {"order_id": order["id"], "captured_cents": order["total_cents"], "refunded_cents": 0}
            for order in data.orders
        ),
    )


def _insert(db: Connection, model: type[Base], rows: Iterable[dict[str, Any]]) -> None:
    table = model.__table__
    assert isinstance(table, Table)
    remaining = iter(rows)
    while chunk := list(islice(remaining, ROWS_AT_A_TIME)):
        db.execute(insert(table), chunk)
