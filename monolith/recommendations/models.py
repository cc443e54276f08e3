"""Tables that recommendations owns: what it has learnt from orders, and how far it has read."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ..chassis.database import Base


class CoPurchase(Base):
    """In how many orders two products are together; each pair is stored in both directions."""

    __tablename__ = "co_purchases"

    sku: Mapped[str] = mapped_column(String(20), primary_key=True)
    other: Mapped[str] = mapped_column(String(20), primary_key=True)
    orders: Mapped[int]


class Popularity(Base):
    """In how many orders a product is, and its category at that time."""

    __tablename__ = "popularity"

    sku: Mapped[str] = mapped_column(String(20), primary_key=True)
    category: Mapped[str] = mapped_column(String(40))
    orders: Mapped[int] = mapped_column(index=True)


class Purchase(Base):
    """What a customer bought, and the position of the newest order with it."""

    __tablename__ = "purchases"

    customer_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    sku: Mapped[str] = mapped_column(String(20), primary_key=True)
    position: Mapped[int]


class FeedPosition(Base):
    """The newest order that was learnt from; stored in one transaction with what was learnt."""

    __tablename__ = "feed_position"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int]
