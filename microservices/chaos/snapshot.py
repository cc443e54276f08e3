"""What the databases of all services hold, and what the clients know: the facts that the invariants are checked on.

Only tests and tools may read all databases at once; no service can.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine, NullPool, create_engine, make_url, text

from microservices.chassis.config import sqlite_url

CONFIRMED = frozenset({"paid", "settled"})
TERMINAL = frozenset({"settled", "undone"})
SERVICES = ("orders", "inventory", "payments", "recommendations")


class Databases:
    """The databases of a split shop, opened for reading."""

    def __init__(self, pattern: str) -> None:
        self._engines: dict[str, Engine] = {}
        for service in SERVICES:
            url = make_url(pattern.replace("{service}", service))
            if url.get_backend_name() == "postgresql":
                url = url.set(drivername="postgresql+psycopg")
            self._engines[service] = create_engine(url, poolclass=NullPool)

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """The SQLite files in a fleet's data folder."""
        return cls(sqlite_url(folder) + "/{service}.sqlite3")

    def rows(self, service: str, query: str) -> list[dict[str, Any]]:
        """The rows of a query to the database of one service."""
        with self._engines[service].connect() as connection:
            return [dict(row) for row in connection.execute(text(query)).mappings()]


@dataclass(frozen=True, slots=True)
class ObservedCheckout:
    """One answer to a checkout, as its client knows it."""

    customer_id: str
    key: str
    status: int | None
    """None: there was no answer."""
    order: Mapping[str, Any] | None = None
    final: bool = False
    """Whether the answer tells the outcome, by the rules of docs/api.md; a replayed refusal does."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The content of all databases. Take it while no process writes, because they are read one after the other."""

    orders: list[dict[str, Any]]
    order_lines: list[dict[str, Any]]
    outbox: list[dict[str, Any]]
    stock: dict[str, dict[str, Any]]
    """By SKU."""
    reservations: dict[str, str]
    """Order id to status."""
    reserved_lines: list[dict[str, Any]]
    payments: dict[str, dict[str, Any]]
    """By order id."""
    popularity: dict[str, int]
    """SKU to number of orders."""
    feed_position: int
    """How far recommendations has read the outbox."""

    @classmethod
    def read(cls, databases: Databases) -> Self:
        """Read all that the invariants need."""
        rows = databases.rows
        position = rows("recommendations", "SELECT position FROM feed_position WHERE feed = 'orders'")
        outbox = rows("orders", "SELECT position, data FROM outbox ORDER BY position")
        return cls(
            orders=rows("orders", "SELECT number, id, customer_id, key, step, total_cents FROM orders"),
            order_lines=rows("orders", "SELECT order_number, sku, quantity FROM order_lines"),
            outbox=[{**row, "data": _parsed(row["data"])} for row in outbox],
            stock={row["sku"]: row for row in rows("inventory", "SELECT * FROM stock")},
            reservations={
                row["order_id"]: row["status"] for row in rows("inventory", "SELECT * FROM reservations")
            },
            reserved_lines=rows("inventory", "SELECT * FROM reserved_lines"),
            payments={row["order_id"]: row for row in rows("payments", "SELECT * FROM payments")},
            popularity={
                row["sku"]: row["orders"]
                for row in rows("recommendations", "SELECT sku, orders FROM popularity")
            },
            feed_position=position[0]["position"] if position else 0,
        )

    def confirmed(self) -> list[dict[str, Any]]:
        """The confirmed orders."""
        return [order for order in self.orders if order["step"] in CONFIRMED]

    def quantities(self, orders: Iterable[dict[str, Any]]) -> Counter[str]:
        """By SKU, how many items these orders have."""
        numbers = {order["number"] for order in orders}
        quantities: Counter[str] = Counter()
        for line in self.order_lines:
            if line["order_number"] in numbers:
                quantities[line["sku"]] += line["quantity"]
        return quantities

    def reserved_for(self, order_ids: Iterable[str]) -> Counter[str]:
        """By SKU, how many items are reserved for these orders, neither committed nor released."""
        wanted, quantities = set(order_ids), Counter[str]()
        for line in self.reserved_lines:
            if line["order_id"] in wanted and self.reservations[line["order_id"]] == "reserved":
                quantities[line["sku"]] += line["quantity"]
        return quantities


def _parsed(data: Any) -> Any:
    """The value of a JSON column: SQLite's driver gives text, PostgreSQL's the value."""
    return json.loads(data) if isinstance(data, str) else data
