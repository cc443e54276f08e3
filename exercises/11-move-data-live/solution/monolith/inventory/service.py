"""Stock: show it, set it, sell from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import after_this_request
from sqlalchemy import BindParameter, Connection, bindparam, select, update
from werkzeug.wrappers import Response

from ..catalog import UnknownProduct
from ..chassis.errors import Problem
from . import sender, states
from .models import Stock

# Built once: built per request, they cost 120 µs of CPU more for each product of a checkout, and 50 µs to show stock.
# A prefix, because in an UPDATE a bound value with a column's name is taken for the column's new value.
AVAILABLE = select(Stock.available).where(Stock.sku == bindparam("sku"))
THESE = Stock.sku == bindparam("b_sku")
QUANTITY: BindParameter[int] = bindparam("b_quantity")
SELL = (
    update(Stock)
    .where(THESE, Stock.available >= QUANTITY)
    .values(available=Stock.available - QUANTITY, sold=Stock.sold + QUANTITY)
    .returning(Stock.sku)
)


class OutOfStock(Problem):
    status, slug, title = 409, "out-of-stock", "Not enough in stock"

    def __init__(self, sku: str, wanted: int, available: int) -> None:
        super().__init__(
            f"There are {available} of {sku} left, and {wanted} were wanted.",
            sku=sku,
            wanted=wanted,
            available=available,
        )


def availability(db: Connection, sku: str) -> dict[str, Any]:
    """How many of a product can be bought now; raises UnknownProduct."""
    available = db.execute(AVAILABLE, {"sku": sku}).scalar()
    if available is None:
        raise UnknownProduct(sku)
    return {"sku": sku, "available": available}


def set_available(db: Connection, sku: str, available: int) -> dict[str, Any]:
    """Set how many can be bought, as after a delivery or a count; raises UnknownProduct."""
    received = available + Stock.sold
    db.execute(update(Stock).where(Stock.sku == sku).values(available=available, received=received))
    _changed(db, sku)
    return availability(db, sku)


def sell(db: Connection, wanted: Mapping[str, int]) -> None:
    """Sell all of these pieces or none: raises OutOfStock for the first SKU with too little stock."""
    for sku, quantity in sorted(wanted.items()):
        if db.execute(SELL, {"b_sku": sku, "b_quantity": quantity}).first() is None:
            raise OutOfStock(sku, quantity, availability(db, sku)["available"])
        _changed(db, sku)


def _changed(db: Connection, sku: str) -> None:
    """The service has to get the new state, once this transaction is committed."""
    states.changed(db, sku)
    after_this_request(_send)


def _send(response: Response) -> Response:
    sender.wake()
    return response
