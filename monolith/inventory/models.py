"""The table that the inventory owns."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from ..chassis.database import Base


class Stock(Base):
    """How many pieces of a product there are; received = available + sold, always."""

    __tablename__ = "stock"
    __table_args__ = (
        CheckConstraint("available >= 0", name="stock_not_negative"),
        CheckConstraint("received = available + sold", name="stock_adds_up"),
    )

    sku: Mapped[str] = mapped_column(String(20), primary_key=True)
    received: Mapped[int]
    available: Mapped[int]
    sold: Mapped[int] = mapped_column(default=0)
