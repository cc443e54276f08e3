"""Tables that orders owns."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..chassis.database import Base


class Status(StrEnum):
    """The state of an order."""

    CONFIRMED = "confirmed"


class Order(Base):
    """A purchase; `number` counts without gaps in the order of commits, so that readers can follow it."""

    __tablename__ = "orders"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    customer_id: Mapped[str] = mapped_column(String(32), index=True)
    status: Mapped[str] = mapped_column(String(16))
    total_cents: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[str] = mapped_column(String(20))


class OrderLine(Base):
    """A product as it was when it was bought: later changes of name or price do not change it."""

    __tablename__ = "order_lines"

    order_number: Mapped[int] = mapped_column(ForeignKey("orders.number"), primary_key=True)
    sku: Mapped[str] = mapped_column(String(20), primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    category: Mapped[str] = mapped_column(String(40))
    unit_price_cents: Mapped[int]
    quantity: Mapped[int]


class OrderCounter(Base):
    """The last number used; updating this one row makes checkouts commit in the order of their numbers."""

    __tablename__ = "order_counter"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int]


class IdempotencyKey(Base):
    """The response to a checkout, sent again when the request is repeated."""

    __tablename__ = "idempotency_keys"

    customer_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None]
    body: Mapped[str | None] = mapped_column(Text)
