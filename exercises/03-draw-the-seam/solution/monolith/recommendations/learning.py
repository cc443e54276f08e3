"""Learns from orders: counts what is bought, what is bought together, and by whom.

It reads the orders' feed, which is passed in, and none of their tables. The position is stored in the same
transaction as the counts, so that each order counts once, whichever replica reads it.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from ..chassis.database import Database, upsert
from .models import CoPurchase, FeedPosition, Popularity, Purchase

MAX_ORDERS = 200
log = logging.getLogger(__name__)

Feed: TypeAlias = Callable[[Connection, int, int], dict[str, Any]]
"""The orders' feed, called with a connection, a position and a limit."""


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


def catch_up(database: Database, feed: Feed) -> int:
    """Learn from the next orders, if there are any; returns the number of events."""
    with database.reading() as db:
        events = feed(db, _position(db), MAX_ORDERS)["events"]
    if events:
        with database.writing() as db:
            first = upsert(db.dialect.name, FeedPosition).on_conflict_do_nothing()
            db.execute(first, {"id": 1, "position": 0})  # there has to be a row to lock
            known = _position(db, lock=True)  # another replica may have learnt them in the meantime
            learn(db, [_bought(event["data"]) for event in events if event["position"] > known])
    return len(events)


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


def start_learning(database: Database, feed: Feed, interval: float) -> None:
    """Catch up in the background every `interval` seconds for as long as this process serves."""

    def run() -> None:
        pause = threading.Event()
        while not pause.wait(interval):
            try:
                while catch_up(database, feed) == MAX_ORDERS:
                    pass
            except SQLAlchemyError as error:
                log.warning("could not learn from new orders, will try again: %s", error)

    threading.Thread(target=run, name="learning", daemon=True).start()


def _position(db: Connection, *, lock: bool = False) -> int:
    query = select(FeedPosition.position)
    return db.execute(query.with_for_update() if lock else query).scalar() or 0


def _bought(order: dict[str, Any]) -> Bought:
    products = {item["sku"]: item["category"] for item in order["items"]}
    return Bought(order["number"], order["customer_id"], products)
