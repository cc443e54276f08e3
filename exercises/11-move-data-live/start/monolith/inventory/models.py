"""The tables that the inventory owns: the stock, and two for its move to the service."""

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


class StockVersion(Base):
    """How often a product's stock was changed, and what the service has of it. Without a row: never since the start."""

    __tablename__ = "stock_versions"

    sku: Mapped[str] = mapped_column(String(20), primary_key=True)
    version: Mapped[int]
    sent: Mapped[int] = mapped_column(default=0)
    """The version that the service has confirmed."""


class MoveNote(Base):
    """What has to be remembered about the move, such as how far the copy is."""

    __tablename__ = "stock_move"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    value: Mapped[str] = mapped_column(String(20))
