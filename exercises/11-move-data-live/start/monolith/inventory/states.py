"""The monolith's half of the move: the states of stock, their versions, and which of them the service does not have.

Nobody counts versions yet: all are 0.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Select, func, select

from ..chassis.database import upsert
from .client import State
from .models import MoveNote, Stock, StockVersion

VERSION = func.coalesce(StockVersion.version, 0).label("version")
STATES = (
    select(Stock.sku, Stock.received, Stock.available, Stock.sold, VERSION)
    .join(StockVersion, StockVersion.sku == Stock.sku, isouter=True)
    .order_by(Stock.sku)
)


def batch(db: Connection, after: str, limit: int) -> list[State]:
    """Up to `limit` states in the order of their SKUs, from the first one after `after`."""
    return _states(db, STATES.where(Stock.sku > after).limit(limit))


def some(db: Connection, skus: Iterable[str]) -> list[State]:
    """The states of these products."""
    return _states(db, STATES.where(Stock.sku.in_(list(skus))))


def note(db: Connection, name: str) -> str:
    """What was remembered under this name; empty when nothing was."""
    return db.execute(select(MoveNote.value).where(MoveNote.name == name)).scalar() or ""


def remember(db: Connection, name: str, value: str) -> None:
    """Remember a value, in place of an earlier one."""
    first = upsert(db.dialect.name, MoveNote).values(name=name, value=value)
    db.execute(first.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


def _states(db: Connection, query: Select[tuple[str, int, int, int, int]]) -> list[State]:
    return [State(**row) for row in db.execute(query).mappings()]
