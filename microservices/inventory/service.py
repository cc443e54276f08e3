"""Stock: show it, set it, and reserve some for an order until the order is confirmed or refused.

Every request for a reservation may arrive twice, late or out of order; the result is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Connection, Update, bindparam, insert, select, update

from ..chassis.database import upsert
from ..chassis.errors import Problem
from .models import Reservation, ReservedLine, Status, Stock

# Built once: built per request, they cost 0.4 ms of CPU more for a checkout with one product, and 60 µs to show stock.
# A prefix, because in an UPDATE a bound value with a column's name is taken for the column's new value.
AVAILABLE = select(Stock.available).where(Stock.sku == bindparam("sku"))
THESE = Stock.sku == bindparam("b_sku")
QUANTITY: BindParameter[int] = bindparam("b_quantity")
TAKE = (
    update(Stock)
    .where(THESE, Stock.available >= QUANTITY)
    .values(available=Stock.available - QUANTITY, reserved=Stock.reserved + QUANTITY)
    .returning(Stock.sku)
)
SELL = update(Stock).where(THESE).values(reserved=Stock.reserved - QUANTITY, sold=Stock.sold + QUANTITY)
GIVE_BACK = (
    update(Stock)
    .where(THESE)
    .values(reserved=Stock.reserved - QUANTITY, available=Stock.available + QUANTITY)
)
STATUS = select(Reservation.status).where(Reservation.order_id == bindparam("order_id")).with_for_update()
LINES = (
    select(ReservedLine.sku, ReservedLine.quantity)
    .where(ReservedLine.order_id == bindparam("order_id"))
    .order_by(ReservedLine.sku)
)
DECIDE = (
    update(Reservation)
    .where(Reservation.order_id == bindparam("b_order_id"))
    .values(status=bindparam("status"))
)


class UnknownProduct(Problem):
    status, slug, title = 404, "unknown-product", "There is no such product"

    def __init__(self, sku: str) -> None:
        super().__init__(f"The shop has no product {sku}.", sku=sku)


class OutOfStock(Problem):
    status, slug, title = 409, "out-of-stock", "Not enough in stock"

    def __init__(self, sku: str, wanted: int, available: int) -> None:
        super().__init__(
            f"There are {available} of {sku} left, and {wanted} were wanted.",
            sku=sku,
            wanted=wanted,
            available=available,
        )


class UnknownReservation(Problem):
    status, slug, title = 404, "unknown-reservation", "There is no such reservation"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"Nothing was reserved for order {order_id}.", order_id=order_id)


class ReservationClosed(Problem):
    status, slug, title = 409, "reservation-closed", "This reservation is decided"

    def __init__(self, order_id: str, state: str) -> None:
        super().__init__(
            f"The reservation for order {order_id} was {state} before.", order_id=order_id, state=state
        )


def availability(db: Connection, sku: str) -> dict[str, Any]:
    """How many of a product can be bought now; raises UnknownProduct."""
    available = db.execute(AVAILABLE, {"sku": sku}).scalar()
    if available is None:
        raise UnknownProduct(sku)
    return {"sku": sku, "available": available}


def set_available(db: Connection, sku: str, available: int) -> dict[str, Any]:
    """Set how many can be bought, as after a delivery or a count; raises UnknownProduct."""
    received = available + Stock.reserved + Stock.sold
    db.execute(update(Stock).where(Stock.sku == sku).values(available=available, received=received))
    return availability(db, sku)


def reserve(db: Connection, order_id: str, wanted: Mapping[str, int]) -> dict[str, Any]:
    """Reserve all of these pieces or none: raises OutOfStock for the first SKU with too little stock.

    Raises ReservationClosed for an order that was released before, also when its release came first.
    """
    is_new = _store(db, order_id, Status.RESERVED)
    status = Status.RESERVED if is_new else _find(db, order_id)
    if status == Status.RELEASED:
        raise ReservationClosed(order_id, status)
    if is_new:
        for sku, quantity in sorted(wanted.items()):
            if db.execute(TAKE, {"b_sku": sku, "b_quantity": quantity}).first() is None:
                raise OutOfStock(sku, quantity, availability(db, sku)["available"])
        lines = [{"order_id": order_id, "sku": sku, "quantity": wanted[sku]} for sku in sorted(wanted)]
        db.execute(insert(ReservedLine), lines)
    return {"order_id": order_id, "status": status}


def commit(db: Connection, order_id: str) -> dict[str, Any]:
    """The order is confirmed: sell what is reserved; raises UnknownReservation or ReservationClosed."""
    status = _find(db, order_id)
    if status == Status.RELEASED:
        raise ReservationClosed(order_id, status)
    if status == Status.RESERVED:
        _decide(db, order_id, Status.COMMITTED, SELL)
    return {"order_id": order_id, "status": Status.COMMITTED}


def release(db: Connection, order_id: str) -> dict[str, Any]:
    """The order is refused: make what is reserved available again; raises ReservationClosed once it is sold.

    Without a reservation the release is stored too, so that a request to reserve that arrives late is refused.
    """
    _store(db, order_id, Status.RELEASED)
    status = _find(db, order_id)
    if status == Status.COMMITTED:
        raise ReservationClosed(order_id, status)
    if status == Status.RESERVED:
        _decide(db, order_id, Status.RELEASED, GIVE_BACK)
    return {"order_id": order_id, "status": Status.RELEASED}


def _store(db: Connection, order_id: str, status: Status) -> bool:
    """Store a reservation; False when there is one already, also one of a concurrent request."""
    new = {"order_id": order_id, "status": status}
    return db.execute(_insert_unless_there(db.dialect.name), new).first() is not None


@cache
def _insert_unless_there(dialect: str) -> Any:
    """Built once: building it anew took a good part of each call's CPU (docs/decisions/0045)."""
    return upsert(dialect, Reservation).on_conflict_do_nothing().returning(Reservation.order_id)


def _find(db: Connection, order_id: str) -> str:
    status = db.execute(STATUS, {"order_id": order_id}).scalar()
    if status is None:
        raise UnknownReservation(order_id)
    return status


def _decide(db: Connection, order_id: str, status: Status, move: Update) -> None:
    lines = db.execute(LINES, {"order_id": order_id}).all()
    if lines:
        db.execute(move, [{"b_sku": line.sku, "b_quantity": line.quantity} for line in lines])
    db.execute(DECIDE, {"b_order_id": order_id, "status": status})
