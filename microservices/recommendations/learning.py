"""Learns from orders: counts what is bought, what is bought together, and by whom.

It reads the orders' event feed. The position is stored in the same transaction as the counts, so that each order
counts once, whichever replica reads it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import Any, NamedTuple

from sqlalchemy import Connection

from ..chassis.database import upsert
from .models import CoPurchase, Popularity, Purchase


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


def learn_from_event(db: Connection, kind: str, data: dict[str, Any]) -> None:
    """Count the order of an event; other kinds of events are ignored."""
    if kind == "order-confirmed":
        products = {item["sku"]: item["category"] for item in data["items"]}
        learn(db, [Bought(data["number"], data["customer_id"], products)])


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
    """Count these orders."""
    counted = count(orders)
    dialect = db.dialect.name
    db.execute(_add_popularity(dialect), counted.popularity)
    if counted.co_purchases:  # an order with one product has no pairs to count
        db.execute(_add_co_purchases(dialect), counted.co_purchases)
    db.execute(_set_purchases(dialect), counted.purchases)


# Built once for each kind of database: built per request, the three cost 0.3 ms of CPU more for each order.


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
