"""The states of a checkout in the database, and the steps between them.

A step is taken only from the expected state. So a slow request and the recovery that took over from it never both
decide an order.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, insert, select, update

from ..chassis import spans
from ..chassis.database import reading, writing
from ..chassis.errors import Problem
from ..chassis.events import publish
from .answers import Product
from .models import Order, OrderLine, OrderTrace, Outbox, Status, Step
from .service import as_dict, line_as_dict

CONFIRMED_EVENT = "order-confirmed"
LEASE_SECONDS = 10.0
"""Longer than any request may take: a request that has not finished by then has crashed."""
UNFINISHED = (Step.PRICED, Step.PAID, Step.UNDOING)
SELLING = frozenset({Step.PRICED, Step.PAID})
"""Steps at which the cart is not emptied yet; a customer has at most one such order (see the index in models.py)."""

# Built once: built per request, they cost 0.5 ms of CPU more for each checkout. Rare ones are built where used.
BY_KEY = select(Order.id, Order.customer_id, Order.fingerprint, Order.step, Order.problem).where(
    Order.customer_id == bindparam("customer_id"), Order.key == bindparam("key")
)
NEWEST = (
    select(Order.number, Order.step)
    .where(Order.customer_id == bindparam("customer_id"))
    .order_by(Order.number.desc())
    .limit(1)
)
# A prefix, because in an UPDATE a bound value with a column's name is taken for the column's new value.
ADVANCE = (
    update(Order)
    .where(Order.id == bindparam("b_id"), Order.step == bindparam("b_step"))
    .values(step=bindparam("step"))
    .returning(Order.number)
)


class OvertakenError(Exception):
    """Another checkout of the same customer was faster."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A request to order: the customer, the idempotency key and the body's hash."""

    customer_id: str
    key: str
    fingerprint: str


class StoredCheckout(NamedTuple):
    """A stored order, with what its response needs."""

    id: str
    customer_id: str
    fingerprint: str | None
    step: str
    problem: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class PricedOrder:
    """An order before it is confirmed; its lines have the names and prices that the catalog gave."""

    id: str
    customer_id: str
    created_at: str
    lines: Sequence[dict[str, Any]]

    @property
    def wanted(self) -> dict[str, int]:
        """The ordered quantities, by SKU."""
        return {line["sku"]: line["quantity"] for line in self.lines}

    @property
    def total_cents(self) -> int:
        """The total price."""
        return sum(line["unit_price_cents"] * line["quantity"] for line in self.lines)

    def to_dict(self, status: Status) -> dict[str, Any]:
        """The order as the API shows it."""
        lines = [
            line_as_dict(line["sku"], line["name"], line["unit_price_cents"], line["quantity"])
            for line in self.lines
        ]
        return as_dict(self.id, status, self.total_cents, self.created_at, lines)


def priced_order(customer_id: str, wanted: dict[str, int], products: Sequence[Product]) -> PricedOrder:
    """An order of these products at their current prices."""
    lines = [
        {
            "sku": product["sku"],
            "name": product["name"],
            "category": product["category"],
            "unit_price_cents": product["price_cents"],
            "quantity": wanted[product["sku"]],
        }
        for product in products
    ]
    created_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return PricedOrder(uuid.uuid4().hex, customer_id, created_at, lines)


def find(claim: Claim) -> StoredCheckout | None:
    """The stored order of this claim, if there is one."""
    with reading() as db:
        row = db.execute(BY_KEY, {"customer_id": claim.customer_id, "key": claim.key}).first()
    return StoredCheckout(*row) if row else None


def newest_number(customer_id: str) -> int | None:
    """The number of the customer's newest order; None before the first.

    Raises OvertakenError while that order is unfinished: the cart that is read next may still hold what it ordered,
    and when the new order is stored, nothing shows that any more.
    """
    with reading() as db:
        newest = db.execute(NEWEST, {"customer_id": customer_id}).first()
    if newest is not None and newest.step in SELLING:
        raise OvertakenError
    return newest.number if newest is not None else None


def save(
    order: PricedOrder, claim: Claim, newest: int | None, step: Step, refusal: Problem | None = None
) -> None:
    """Store the order at its first step.

    Raises IntegrityError when the key is taken or another checkout of the customer is in progress, and OvertakenError
    when one began after `newest` was read and before the cart was read: that cart may be sold by now.
    """
    row = {
        "id": order.id,
        "customer_id": claim.customer_id,
        "key": claim.key,
        "fingerprint": claim.fingerprint,
        "step": step,
        "total_cents": order.total_cents,
        "created_at": order.created_at,
        "problem": refusal.to_dict() if refusal else None,
        "lease_until": time.time() + LEASE_SECONDS,
    }
    traceparent = spans.traceparent()
    with writing() as db:
        if db.execute(NEWEST, {"customer_id": claim.customer_id}).scalar() != newest:
            raise OvertakenError
        number = db.execute(insert(Order).returning(Order.number), row).scalar_one()
        if order.lines:
            db.execute(insert(OrderLine), [{"order_number": number, **line} for line in order.lines])
        if traceparent is not None:
            db.execute(insert(OrderTrace), {"order_id": order.id, "traceparent": traceparent})


def confirm(order: PricedOrder) -> bool:
    """Confirm the order and put its event into the outbox, in one transaction."""
    with writing() as db:
        number = _advance(db, order.id, Step.PRICED, Step.PAID)
        if number is not None:
            publish(db, Outbox, CONFIRMED_EVENT, event(order, number))
    return number is not None


def refuse(order_id: str, refusal: Problem, step: Step) -> bool:
    """Refuse the order: store why, and whether stock or money has to be given back."""
    undecided = update(Order).where(Order.id == order_id, Order.step == Step.PRICED)
    with writing() as db:
        refused = undecided.values(step=step, problem=refusal.to_dict()).returning(Order.number)
        return db.execute(refused).first() is not None


def finish(order_id: str, before: Step, step: Step) -> None:
    """Store the order's last step: nothing is left to do."""
    with writing() as db:
        _advance(db, order_id, before, step)


def take_over() -> tuple[PricedOrder, Step] | None:
    """Take over an order whose checkout was interrupted; None when there is none, or another replica was faster."""
    now = time.time()
    left = (Order.step.in_(UNFINISHED), Order.lease_until < now)
    oldest = select(Order.id).where(*left).order_by(Order.number).limit(1)
    with reading() as db:
        if db.execute(oldest).first() is None:
            return None
    take = update(Order).where(Order.id == oldest.scalar_subquery(), *left)
    with writing() as db:
        taken = db.execute(
            take.values(lease_until=now + LEASE_SECONDS).returning(
                Order.id, Order.customer_id, Order.created_at, Order.number, Order.step
            )
        ).first()
        if taken is None:
            return None
        lines = _lines(db, taken.number)
        return PricedOrder(taken.id, taken.customer_id, taken.created_at, lines), Step(taken.step)


def traceparent_of(order: PricedOrder) -> str | None:
    """The trace of the request that placed the order; None if it was not traced."""
    with reading() as db:
        return db.execute(
            select(OrderTrace.traceparent).where(OrderTrace.order_id == order.id)
        ).scalar_one_or_none()


def _advance(db: Connection, order_id: str, before: Step, after: Step) -> int | None:
    return db.execute(ADVANCE, {"b_id": order_id, "b_step": before, "step": after}).scalar()


def _lines(db: Connection, number: int) -> list[dict[str, Any]]:
    lines = (
        select(
            OrderLine.sku, OrderLine.name, OrderLine.category, OrderLine.unit_price_cents, OrderLine.quantity
        )
        .where(OrderLine.order_number == number)
        .order_by(OrderLine.sku)
    )
    return [row._asdict() for row in db.execute(lines)]


def event(order: PricedOrder, number: int) -> dict[str, Any]:
    """What the feed tells other services about a confirmed order."""
    return {
        "order_id": order.id,
        "number": number,
        "customer_id": order.customer_id,
        "at": order.created_at,
        "items": [
            {"sku": line["sku"], "quantity": line["quantity"], "category": line["category"]}
            for line in order.lines
        ],
    }
