"""Tables that orders owns: orders with the state of their checkout, and the outbox."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Identity, Index, String, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from ..chassis.events import OutboxMixin

FIRST_NEW_NUMBER = 1_000_001  # PostgreSQL counts from here; past orders are seeded with the numbers below


class Base(DeclarativeBase):
    """The tables of this service, in its own database."""


class Step(StrEnum):
    """How far a checkout is; each step is stored before the next call is sent."""

    PRICED = "priced"
    """The order is stored with its prices; stock may be reserved and money taken."""
    PAID = "paid"
    """The point of no return: the order is confirmed, its event is in the outbox."""
    SETTLED = "settled"
    """Stock is sold and the cart is empty: nothing left to do."""
    UNDOING = "undoing"
    """The order is refused; stock and money have to be given back."""
    UNDONE = "undone"
    """Everything was given back: nothing left to do."""


class Status(StrEnum):
    """The state of an order, as its customer sees it; a rejected one is not shown."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


STATUS = {
    Step.PRICED: Status.PENDING,
    Step.PAID: Status.CONFIRMED,
    Step.SETTLED: Status.CONFIRMED,
    Step.UNDOING: Status.REJECTED,
    Step.UNDONE: Status.REJECTED,
}


class Order(Base):
    """A purchase, with the state of its checkout."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("customer_id", "key", name="one_order_for_each_key"),
        Index("unfinished_orders", "step", "lease_until"),
        # A cart is emptied only when its order is settled: until then it must not be sold a second time.
        Index(
            "one_checkout_at_a_time",
            "customer_id",
            unique=True,
            sqlite_where=text("step IN ('priced', 'paid')"),
            postgresql_where=text("step IN ('priced', 'paid')"),
        ),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(Identity(start=FIRST_NEW_NUMBER), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    customer_id: Mapped[str] = mapped_column(String(32), index=True)
    total_cents: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[str] = mapped_column(String(20))
    step: Mapped[str] = mapped_column(String(16))
    key: Mapped[str | None] = mapped_column(String(64))
    """The idempotency key; past orders from the data set have none."""
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    """A hash of the request's card number, to tell a repeated request from another one with the same key."""
    problem: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """Why the order was refused: the problem that was answered."""
    lease_until: Mapped[float] = mapped_column(Float, default=0.0)
    """Until then (seconds since the epoch) a request works on the order; later any replica may take over."""


class OrderTrace(Base):
    """The trace of the request that placed an order, so that a recovery can be linked with it.

    A table of its own, because a table that is missing is made at start, and a column is not. It gets a row only while
    tracing is on.
    """

    __tablename__ = "order_traces"

    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    traceparent: Mapped[str] = mapped_column(String(55))


class OrderLine(Base):
    """A product as it was when it was bought: later changes of name or price do not change it."""

    __tablename__ = "order_lines"

    order_number: Mapped[int] = mapped_column(ForeignKey("orders.number"), primary_key=True)
    sku: Mapped[str] = mapped_column(String(20), primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    category: Mapped[str] = mapped_column(String(40))
    unit_price_cents: Mapped[int]
    quantity: Mapped[int]


class Outbox(OutboxMixin, Base):
    """Events that other services read as a feed."""

    __tablename__ = "outbox"
