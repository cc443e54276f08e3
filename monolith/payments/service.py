"""Payments: capture the money for an order."""

from __future__ import annotations

from sqlalchemy import Connection, insert

from ..chassis.errors import Problem
from ..chassis.runtime import runtime
from . import provider
from .models import Payment


class PaymentDeclined(Problem):
    status, slug, title = 402, "payment-declined", "The card was declined"


class PaymentTimedOut(Problem):
    status, slug, title = 504, "payment-timed-out", "The payment provider did not answer"


def capture(db: Connection, order_id: str, amount_cents: int, card_number: str) -> None:
    """Take the money for an order; raises PaymentDeclined or PaymentTimedOut, and then no money was taken."""
    _charge(order_id, card_number)
    payment = {"order_id": order_id, "captured_cents": amount_cents, "refunded_cents": 0}
    db.execute(insert(Payment), payment)


def _charge(order_id: str, card_number: str) -> None:
    try:
        provider.charge(order_id, card_number, runtime().config.payment_timeout)
    except provider.Declined:
        raise PaymentDeclined("The card was declined; try another one.") from None
    except provider.TimedOut:
        raise PaymentTimedOut("The payment provider did not answer in time; nothing was charged.") from None
