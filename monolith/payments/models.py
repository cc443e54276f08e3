"""The table that payments owns."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from ..chassis.database import Base


class Payment(Base):
    """Money taken for an order; at most one for each."""

    __tablename__ = "payments"
    __table_args__ = (CheckConstraint("captured_cents >= refunded_cents", name="payment_not_overpaid_back"),)

    order_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    captured_cents: Mapped[int] = mapped_column(BigInteger)
    refunded_cents: Mapped[int] = mapped_column(BigInteger, default=0)
