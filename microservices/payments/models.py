"""The table that payments owns."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The tables of this service, in its own database."""


class Status(StrEnum):
    """The state of a payment."""

    CAPTURED = "captured"
    REFUNDED = "refunded"


class Payment(Base):
    """Money taken for an order; at most one for each.

    A payment that was refunded before its capture stays stored, so that a late request to capture is refused.
    """

    __tablename__ = "payments"
    __table_args__ = (CheckConstraint("captured_cents >= refunded_cents", name="payment_not_overpaid_back"),)

    order_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    status: Mapped[str] = mapped_column(String(16))
    captured_cents: Mapped[int] = mapped_column(BigInteger)
    refunded_cents: Mapped[int] = mapped_column(BigInteger, default=0)
