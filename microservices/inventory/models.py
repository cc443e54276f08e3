"""The tables that the inventory owns."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The tables of this service, in its own database."""


class Stock(Base):
    """How many pieces of a product there are; received = available + reserved + sold, always."""

    __tablename__ = "stock"
    __table_args__ = (
        CheckConstraint("available >= 0", name="stock_not_negative"),
        CheckConstraint("reserved >= 0", name="stock_not_returned_twice"),
        CheckConstraint("received = available + reserved + sold", name="stock_adds_up"),
    )

    sku: Mapped[str] = mapped_column(String(20), primary_key=True)
    received: Mapped[int]
    available: Mapped[int]
    reserved: Mapped[int] = mapped_column(default=0)
    sold: Mapped[int] = mapped_column(default=0)


class Status(StrEnum):
    """The state of a reservation; only a reserved one can still change."""

    RESERVED = "reserved"
    COMMITTED = "committed"
    RELEASED = "released"


class Reservation(Base):
    """Pieces reserved for an order; a released reservation stays stored, so that a late request for it is refused."""

    __tablename__ = "reservations"

    order_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    status: Mapped[str] = mapped_column(String(16))


class ReservedLine(Base):
    """How many pieces of a product a reservation holds."""

    __tablename__ = "reserved_lines"

    order_id: Mapped[str] = mapped_column(ForeignKey("reservations.order_id"), primary_key=True)
    sku: Mapped[str] = mapped_column(String(20), primary_key=True)
    quantity: Mapped[int]
