"""Payments: capture the money for an order, give it back.

Both requests may arrive twice, late or out of order; the result is the same.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from ..chassis.database import reading, upsert, writing
from ..chassis.errors import Problem
from ..chassis.runtime import runtime
from . import provider
from .models import Payment, Status
from .settings import Settings

# Built once: built per request, it costs 60 µs of CPU more, twice for each checkout.
STATUS_AND_AMOUNT = select(Payment.status, Payment.captured_cents).where(
    Payment.order_id == bindparam("order_id")
)


class PaymentDeclined(Problem):
    status, slug, title = 402, "payment-declined", "The card was declined"


class PaymentTimedOut(Problem):
    status, slug, title = 504, "payment-timed-out", "The payment provider did not answer"


class PaymentClosed(Problem):
    status, slug, title = 409, "payment-closed", "This payment is decided"

    def __init__(self, order_id: str, state: str) -> None:
        super().__init__(
            f"The payment for order {order_id} was {state} before.", order_id=order_id, state=state
        )


def capture(order_id: str, amount_cents: int, card_number: str) -> dict[str, Any]:
    """Take the money for an order; raises PaymentDeclined or PaymentTimedOut, and then no money was taken.

    Opens its own connections: the provider may take a second, and no transaction is open meanwhile. Raises
    PaymentClosed for an order that was refunded before or meanwhile.
    """
    with reading() as db:
        stored = db.execute(STATUS_AND_AMOUNT, {"order_id": order_id}).first()
    if stored is None:
        _charge(order_id, card_number)
        with writing() as transaction:
            _store(transaction, order_id, Status.CAPTURED, amount_cents)
            # A repeated request, or the refund, may have been faster than the provider.
            stored = transaction.execute(STATUS_AND_AMOUNT, {"order_id": order_id}).one()
        if stored.status == Status.REFUNDED:
            provider.void(order_id)
    status, captured_cents = stored
    if status != Status.CAPTURED or captured_cents != amount_cents:
        raise PaymentClosed(order_id, status)
    return {"order_id": order_id, "status": status, "amount_cents": captured_cents}


def refund(db: Connection, order_id: str) -> dict[str, Any]:
    """Give back what was taken for an order.

    Without a capture the refund is stored too, so that a request to capture that arrives late is refused.
    """
    refund = (
        update(Payment)
        .where(Payment.order_id == order_id)
        .values(status=Status.REFUNDED, refunded_cents=Payment.captured_cents)
        .returning(Payment.refunded_cents)
    )
    _store(db, order_id, Status.REFUNDED, 0)
    refunded_cents = db.execute(refund).scalar_one()
    return {"order_id": order_id, "status": Status.REFUNDED, "amount_cents": refunded_cents}


def _charge(order_id: str, card_number: str) -> None:
    try:
        provider.charge(order_id, card_number, runtime().settings(Settings).payment_timeout)
    except provider.Declined:
        raise PaymentDeclined("The card was declined; try another one.") from None
    except provider.TimedOut:
        raise PaymentTimedOut("The payment provider did not answer in time; nothing was charged.") from None


def _store(db: Connection, order_id: str, status: Status, captured_cents: int) -> None:
    """Store the payment unless there is one; a concurrent request for the same order waits here."""
    payment = {"order_id": order_id, "status": status, "captured_cents": captured_cents, "refunded_cents": 0}
    db.execute(_insert_unless_there(db.dialect.name), payment)


@cache
def _insert_unless_there(dialect: str) -> Any:
    """Built once: building it anew took a good part of each call's CPU (docs/decisions/0045)."""
    return upsert(dialect, Payment).on_conflict_do_nothing()
