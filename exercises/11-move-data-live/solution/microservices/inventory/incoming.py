"""The way in for the move: the monolith sends states of stock here, and reads them back to compare.

`create_app` is the service with this way in; topology.py starts it instead of `app`. When the move is over, this file
goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from flask import Blueprint, Flask
from pydantic import Field
from sqlalchemy import Connection, String, select
from sqlalchemy.orm import Mapped, mapped_column

from ..chassis.app import service
from ..chassis.auth import require_service
from ..chassis.database import reading, upsert, writing
from ..chassis.validation import Body, body, query_number, query_text
from .models import Base, Stock
from .routes import api

MAX_STATES = 500

incoming = Blueprint("incoming", __name__)


class KnownVersion(Base):
    """The version of the state that is stored for a product."""

    __tablename__ = "known_versions"

    sku: Mapped[str] = mapped_column(String(20), primary_key=True)
    version: Mapped[int]


class State(Body):
    sku: Annotated[str, Field(pattern="^[A-Z0-9][A-Z0-9-]{1,19}$")]
    received: Annotated[int, Field(ge=0)]
    available: Annotated[int, Field(ge=0)]
    sold: Annotated[int, Field(ge=0)]
    version: Annotated[int, Field(ge=0)]


class States(Body):
    states: Annotated[list[State], Field(min_length=1, max_length=MAX_STATES)]


@incoming.put("/internal/stock")
def receive() -> tuple[str, int]:
    """Store states of stock; one that is older than what is stored is ignored."""
    require_service("monolith")
    states = body(States).states
    with writing() as db:
        for state in sorted(states, key=lambda state: state.sku):
            _store(db, state)
    return "", 204


@incoming.get("/internal/stock")
def stored() -> dict[str, Any]:
    """Show the states that are stored, in the order of their SKUs, from the first one after `after`."""
    require_service("monolith")
    after, limit = query_text("after", 20), query_number("limit", MAX_STATES, 1, MAX_STATES)
    states = (
        select(Stock.sku, Stock.received, Stock.available, Stock.sold, KnownVersion.version)
        .join(KnownVersion, KnownVersion.sku == Stock.sku)
        .where(Stock.sku > after)
        .order_by(Stock.sku)
        .limit(limit)
    )
    with reading() as db:
        return {"states": [dict(row) for row in db.execute(states).mappings()]}


def _store(db: Connection, state: State) -> None:
    """Store the state, unless a newer one of this product is stored. The same one may come again."""
    known = upsert(db.dialect.name, KnownVersion).values(sku=state.sku, version=state.version)
    unless_newer = known.on_conflict_do_update(
        index_elements=["sku"],
        set_={"version": state.version},
        where=KnownVersion.version <= state.version,
    )
    if db.execute(unless_newer.returning(KnownVersion.sku)).first() is None:
        return
    numbers = {"received": state.received, "available": state.available, "sold": state.sold}
    stock = upsert(db.dialect.name, Stock).values(sku=state.sku, reserved=0, **numbers)
    db.execute(stock.on_conflict_do_update(index_elements=["sku"], set_=numbers))


def create_app(env: Mapping[str, str]) -> Flask:
    """The inventory service as `app` makes it, with the way in."""
    return service("inventory", env, api, incoming, base=Base, keys_from="accounts")
