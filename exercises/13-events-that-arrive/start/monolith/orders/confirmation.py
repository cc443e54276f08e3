"""The content of an event `order-confirmed` for the mailer: everything that the mail says.

So the mailer asks nobody anything, and the mail says what was true when the order was placed. The names are a contract
with the mailer, which refuses an event with others.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from .. import accounts
from .models import Order

ORDER_CONFIRMED = "order-confirmed"


def confirmation(db: Connection, customer_id: str, order_id: str) -> dict[str, Any]:
    """What the mail of this order says. In a transaction it also sees an order that is not committed yet."""
    order = db.execute(select(Order).where(Order.id == order_id, Order.customer_id == customer_id)).one()
    with Session(db) as session:
        customer = accounts.profile(session, customer_id)
    return {
        "order_id": order_id,
        "number": order.number,
        "total_cents": order.total_cents,
        "at": order.created_at,
        "name": customer["name"],
        "email": customer["email"],
    }
