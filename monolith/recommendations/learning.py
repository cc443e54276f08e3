"""Learns from orders: counts what is bought, what is bought together, and by whom.

It reads the orders' tables by a join: the first of the three couplings that keep this shop in one piece. The
position is stored in the same transaction as the counts, so that each order counts once, whichever replica reads it.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import groupby, permutations
from typing import Any, NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from ..chassis.database import Database, upsert
from ..orders.models import Order, OrderLine
from .models import CoPurchase, FeedPosition, Popularity, Purchase

MAX_ORDERS = 200
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bought:
    """One order as recommendations needs it: its number, the customer, and each product with its category."""

    number: int
    customer_id: str
    products: dict[str, str]


class Counted(NamedTuple):
    """The counts of some orders, as rows of the three tables."""

    popularity: list[dict[str, Any]]
    co_purchases: list[dict[str, Any]]
    purchases: list[dict[str, Any]]


def catch_up(database: Database) -> int:
    """Learn from the next orders, if there are any; returns their number."""
    with database.reading() as db:
        if not _next_orders(db, _position(db)):
            return 0
    with database.writing() as db:
        first = upsert(db.dialect.name, FeedPosition).on_conflict_do_nothing()
        db.execute(first, {"id": 1, "position": 0})  # there has to be a row to lock
        orders = _next_orders(db, _position(db, lock=True))
        if orders:
            learn(db, orders)
        return len(orders)


def count(orders: Iterable[Bought]) -> Counted:
    """What these orders add to each table, as rows."""
    orders = list(orders)
    categories = {sku: category for order in orders for sku, category in order.products.items()}
    popular = Counter(sku for order in orders for sku in order.products)
    pairs = Counter(pair for order in orders for pair in permutations(sorted(order.products), 2))
    bought = {(order.customer_id, sku): order.number for order in orders for sku in order.products}
    return Counted(
        [{"sku": sku, "category": categories[sku], "orders": number} for sku, number in popular.items()],
        [{"sku": sku, "other": other, "orders": number} for (sku, other), number in pairs.items()],
        [{"customer_id": who, "sku": sku, "position": number} for (who, sku), number in bought.items()],
    )


def learn(db: Connection, orders: list[Bought]) -> None:
    """Count these orders, and remember the number of the last one."""
    if not orders:
        return
    counted = count(orders)
    dialect = db.dialect.name
    db.execute(_add_popularity(dialect), counted.popularity)
    if counted.co_purchases:  # an order with one product has no pairs to count
        db.execute(_add_co_purchases(dialect), counted.co_purchases)
    db.execute(_set_purchases(dialect), counted.purchases)
    position = upsert(dialect, FeedPosition).values(id=1, position=orders[-1].number)
    db.execute(
        position.on_conflict_do_update(index_elements=["id"], set_={"position": position.excluded.position})
    )


# Built once for each kind of database: built per request, the three cost 0.3 ms of CPU more each time.


@cache
def _add_popularity(dialect: str) -> Any:
    new = upsert(dialect, Popularity)
    return new.on_conflict_do_update(
        index_elements=["sku"], set_={"orders": Popularity.orders + new.excluded.orders}
    )


@cache
def _add_co_purchases(dialect: str) -> Any:
    new = upsert(dialect, CoPurchase)
    return new.on_conflict_do_update(
        index_elements=["sku", "other"], set_={"orders": CoPurchase.orders + new.excluded.orders}
    )


@cache
def _set_purchases(dialect: str) -> Any:
    new = upsert(dialect, Purchase)
    return new.on_conflict_do_update(
        index_elements=["customer_id", "sku"],
        set_={"position": new.excluded.position},
        where=new.excluded.position > Purchase.position,
    )


def start_learning(database: Database, interval: float) -> None:
    """Catch up in the background every `interval` seconds for as long as this process serves."""

    def run() -> None:
        pause = threading.Event()
        while not pause.wait(interval):
            try:
                while catch_up(database) == MAX_ORDERS:
                    pass
            except SQLAlchemyError as error:
                log.warning("could not learn from new orders, will try again: %s", error)

    threading.Thread(target=run, name="learning", daemon=True).start()


def _position(db: Connection, *, lock: bool = False) -> int:
    query = select(FeedPosition.position)
    return db.execute(query.with_for_update() if lock else query).scalar() or 0


def _next_orders(db: Connection, after: int) -> list[Bought]:
    numbers = select(Order.number).where(Order.number > after).order_by(Order.number).limit(MAX_ORDERS)
    rows = db.execute(
        select(Order.number, Order.customer_id, OrderLine.sku, OrderLine.category)
        .join(OrderLine, OrderLine.order_number == Order.number)
        .where(Order.number.in_(numbers))
        .order_by(Order.number, OrderLine.sku)
    )
    return list(
        _by_order((number, customer_id, sku, category) for number, customer_id, sku, category in rows)
    )


def _by_order(rows: Iterable[tuple[int, str, str, str]]) -> Iterable[Bought]:
    for (number, customer_id), lines in groupby(rows, key=lambda row: (row[0], row[1])):
        yield Bought(number, customer_id, {sku: category for _, _, sku, category in lines})
