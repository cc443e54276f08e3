"""Stock: how many are there, set it, and put some aside for an order until it is decided.

Every verb of a reservation may come twice, late or out of order, and comes to the same end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from microservices.chassis.database import Reader, upsert
from microservices.chassis.errors import Problem
from microservices.inventory.models import Reservation, ReservedLine, Status, Stock

AVAILABLE = select(Stock.available).where(Stock.sku == bindparam("sku"))


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


def availability(db: Reader, sku: str) -> dict[str, Any]:
    """How many of a product can be bought now; raises UnknownProduct."""
    available = db.execute(AVAILABLE, {"sku": sku}).scalar()
    if available is None:
        raise UnknownProduct(sku)
    return {"sku": sku, "available": available}


def set_available(db: Session, sku: str, available: int) -> dict[str, Any]:
    """Set how many can be bought, as after a delivery or a count; raises UnknownProduct."""
    received = available + Stock.reserved + Stock.sold
    db.execute(update(Stock).where(Stock.sku == sku).values(available=available, received=received))
    return availability(db, sku)


def reserve(db: Session, order_id: str, wanted: Mapping[str, int]) -> dict[str, Any]:
    """Put pieces aside, all or nothing: raises OutOfStock for the first SKU there is too little of.

    An order that was released before, even before it could reserve, gets nothing: ReservationClosed.
    """
    is_new = _remember(db, order_id, Status.RESERVED)
    reservation = _find(db, order_id)
    if reservation.status == Status.RELEASED:
        raise ReservationClosed(order_id, reservation.status)
    if is_new:
        for sku, quantity in sorted(wanted.items()):
            _take(db, sku, quantity)
            db.add(ReservedLine(order_id=order_id, sku=sku, quantity=quantity))
    return _as_dict(reservation)


def commit(db: Session, order_id: str) -> dict[str, Any]:
    """The order is confirmed: what was put aside is sold; raises UnknownReservation or ReservationClosed."""
    reservation = _find(db, order_id)
    if reservation.status == Status.RELEASED:
        raise ReservationClosed(order_id, reservation.status)
    if reservation.status == Status.RESERVED:
        for line in _lines(db, order_id):
            moved = {"reserved": Stock.reserved - line.quantity, "sold": Stock.sold + line.quantity}
            db.execute(update(Stock).where(Stock.sku == line.sku).values(moved))
        reservation.status = Status.COMMITTED
    return _as_dict(reservation)


def release(db: Session, order_id: str) -> dict[str, Any]:
    """The order came to nothing: what was put aside can be bought again; raises ReservationClosed once it is sold.

    Nothing reserved yet is remembered as released: the request to reserve may still be on its way.
    """
    _remember(db, order_id, Status.RELEASED)
    reservation = _find(db, order_id)
    if reservation.status == Status.COMMITTED:
        raise ReservationClosed(order_id, reservation.status)
    if reservation.status == Status.RESERVED:
        for line in _lines(db, order_id):
            moved = {"reserved": Stock.reserved - line.quantity, "available": Stock.available + line.quantity}
            db.execute(update(Stock).where(Stock.sku == line.sku).values(moved))
        reservation.status = Status.RELEASED
    return _as_dict(reservation)


def _take(db: Session, sku: str, quantity: int) -> None:
    taken = db.execute(
        update(Stock)
        .where(Stock.sku == sku, Stock.available >= quantity)
        .values(available=Stock.available - quantity, reserved=Stock.reserved + quantity)
        .returning(Stock.sku)
    ).first()
    if taken is None:
        raise OutOfStock(sku, quantity, availability(db, sku)["available"])


def _remember(db: Session, order_id: str, status: Status) -> bool:
    """Store that there is a reservation; False when there was one before, be it by a request at the same time."""
    new = upsert(db, Reservation).values(order_id=order_id, status=status).on_conflict_do_nothing()
    return db.execute(new.returning(Reservation.order_id)).first() is not None


def _find(db: Session, order_id: str) -> Reservation:
    reservation = db.get(Reservation, order_id, with_for_update=True)
    if reservation is None:
        raise UnknownReservation(order_id)
    return reservation


def _lines(db: Session, order_id: str) -> list[ReservedLine]:
    return list(
        db.scalars(select(ReservedLine).where(ReservedLine.order_id == order_id).order_by(ReservedLine.sku))
    )


def _as_dict(reservation: Reservation) -> dict[str, Any]:
    return {"order_id": reservation.order_id, "status": reservation.status}
