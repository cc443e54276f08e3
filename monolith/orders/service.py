"""Orders: the customer's history, and one order."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from monolith.errors import ShopError
from monolith.orders.models import Order


class UnknownOrder(ShopError):
    status, slug, title = 404, "unknown-order", "There is no such order"


def history(db: Session, customer_id: str, page: int, page_size: int) -> dict[str, Any]:
    """One page of the customer's orders, newest first."""
    total = db.scalars(select(func.count()).where(Order.customer_id == customer_id)).one()
    orders = db.scalars(
        select(Order)
        .where(Order.customer_id == customer_id)
        .options(selectinload(Order.lines))
        .order_by(Order.number.desc())
        .limit(page_size)
        .offset((page - 1) * page_size)
    )
    items = [as_dict(order) for order in orders]
    return {"items": items, "page": page, "page_size": page_size, "total": total}


def show(db: Session, customer_id: str, order_id: str) -> dict[str, Any]:
    """One order; raises UnknownOrder, also for somebody else's, so that nobody learns that it exists."""
    order = db.scalars(
        select(Order)
        .where(Order.id == order_id, Order.customer_id == customer_id)
        .options(selectinload(Order.lines))
    ).first()
    if order is None:
        raise UnknownOrder("You have no order with this id.")
    return as_dict(order)


def as_dict(order: Order) -> dict[str, Any]:
    """The order as the API shows it."""
    return {
        "id": order.id,
        "status": order.status,
        "items": [
            {
                "sku": line.sku,
                "name": line.name,
                "unit_price_cents": line.unit_price_cents,
                "quantity": line.quantity,
                "line_total_cents": line.unit_price_cents * line.quantity,
            }
            for line in order.lines
        ],
        "total_cents": order.total_cents,
        "created_at": order.created_at,
    }
