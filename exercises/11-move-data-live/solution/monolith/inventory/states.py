"""The monolith's half of the move: the states of stock, their versions, and which of them the service does not have.

A version is written in the transaction of the change. So a state that the service lacks is known, whatever dies when.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Select, bindparam, func, select, update

from ..chassis.database import upsert
from .client import State
from .models import MoveNote, Stock, StockVersion

VERSION = func.coalesce(StockVersion.version, 0).label("version")
STATES = (
    select(Stock.sku, Stock.received, Stock.available, Stock.sold, VERSION)
    .join(StockVersion, StockVersion.sku == Stock.sku, isouter=True)
    .order_by(Stock.sku)
)
UNSENT = StockVersion.version > StockVersion.sent
IS_UNSENT = select(StockVersion.sku).where(StockVersion.sku == bindparam("sku"), UNSENT)
CONFIRM = (
    update(StockVersion)
    .where(StockVersion.sku == bindparam("b_sku"), StockVersion.sent < bindparam("b_version"))
    .values(sent=bindparam("b_version"))
)


def changed(db: Connection, sku: str) -> None:
    """Count a change of a product's stock, in the transaction that changes it."""
    first = upsert(db.dialect.name, StockVersion).values(sku=sku, version=1, sent=0)
    one_more = {"version": StockVersion.version + 1}
    db.execute(first.on_conflict_do_update(index_elements=["sku"], set_=one_more))


def reach(db: Connection, sku: str, version: int) -> None:
    """Count a product up to at least this version, so that a service that is ahead takes its next state."""
    first = upsert(db.dialect.name, StockVersion).values(sku=sku, version=version, sent=0)
    behind = StockVersion.version < version
    db.execute(first.on_conflict_do_update(index_elements=["sku"], set_={"version": version}, where=behind))


def unsent(db: Connection, limit: int) -> list[State]:
    """Up to `limit` changed states that the service has not confirmed."""
    return _states(db, STATES.where(UNSENT).limit(limit))


def is_unsent(db: Connection, sku: str) -> bool:
    """Whether the service may have an older state of this product."""
    return db.execute(IS_UNSENT, {"sku": sku}).first() is not None


def batch(db: Connection, after: str, limit: int) -> list[State]:
    """Up to `limit` states in the order of their SKUs, from the first one after `after`."""
    return _states(db, STATES.where(Stock.sku > after).limit(limit))


def some(db: Connection, skus: Iterable[str]) -> list[State]:
    """The states of these products."""
    return _states(db, STATES.where(Stock.sku.in_(list(skus))))


def confirm(db: Connection, states: Sequence[State]) -> None:
    """The service has these states. A product that was changed meanwhile stays unsent."""
    db.execute(CONFIRM, [{"b_sku": state["sku"], "b_version": state["version"]} for state in states])


def note(db: Connection, name: str) -> str:
    """What was remembered under this name; empty when nothing was."""
    return db.execute(select(MoveNote.value).where(MoveNote.name == name)).scalar() or ""


def remember(db: Connection, name: str, value: str) -> None:
    """Remember a value, in place of an earlier one."""
    first = upsert(db.dialect.name, MoveNote).values(name=name, value=value)
    db.execute(first.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


def _states(db: Connection, query: Select[tuple[str, int, int, int, int]]) -> list[State]:
    return [State(**row) for row in db.execute(query).mappings()]
