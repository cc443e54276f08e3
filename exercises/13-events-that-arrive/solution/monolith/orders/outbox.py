"""The outbox: events that others have to be told about, written in the transaction of what happened.

A row waits until it is either sent or refused. `position` gives the order in which they are sent.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from prometheus_client import Gauge
from sqlalchemy import JSON, Connection, String, Text, insert, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from ..chassis.database import Base, Database
from ..chassis.runtime import runtime
from .confirmation import ORDER_CONFIRMED, confirmation


class OutboxEvent(Base):
    """An event. It stays in the table after it was sent, as a record of what was told to whom."""

    __tablename__ = "outbox"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy reads it; never reuse a position

    position: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    type: Mapped[str] = mapped_column(String(40))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    sent_at: Mapped[str | None] = mapped_column(String(20))
    """When the mailer took it, such as 2026-11-27T20:15:00Z."""
    refused: Mapped[str | None] = mapped_column(Text)
    """Why the mailer will never take it."""


def record(db: Connection, customer_id: str, order_id: str) -> None:
    """Write the event of an order, in the transaction `db` that confirms it: both are committed, or neither."""
    event = {
        "id": uuid.uuid4().hex,
        "type": ORDER_CONFIRMED,
        "data": confirmation(db, customer_id, order_id),
    }
    db.execute(insert(OutboxEvent), event)


def now() -> str:
    """The time for `sent_at`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# What an operator sees, at /metrics of the monolith. Raw SQL, so that it works whatever the code above becomes.
GAUGES = {
    "outbox_waiting": (
        "Events that are neither sent nor refused",
        "SELECT count(*) FROM outbox WHERE sent_at IS NULL AND refused IS NULL",
    ),
    "outbox_refused": (
        "Events that were refused for a reason that somebody has to look at",
        "SELECT count(*) FROM outbox WHERE refused <> ''",
    ),
}


def show_gauges(app: Flask) -> None:
    """Add the gauges to the application's metrics; each asks the database when it is read."""
    shop = runtime(app)
    for name, (says, query) in GAUGES.items():
        Gauge(name, says, registry=shop.metrics.registry).set_function(_asks(shop.database, query))


def _asks(database: Database, query: str) -> Callable[[], float]:
    def ask() -> float:
        try:
            with database.reading() as db:
                return float(db.execute(text(query)).scalar_one())
        except SQLAlchemyError:
            return math.nan  # the other metrics are still of use

    return ask
