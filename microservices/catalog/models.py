"""Tables that the catalog owns."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The tables of this service, in its own database."""


class Category(Base):
    """A group of products."""

    __tablename__ = "categories"

    slug: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(40))


class Product(Base):
    """A product that the shop sells."""

    __tablename__ = "products"

    sku: Mapped[str] = mapped_column(String(20), primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(ForeignKey("categories.slug"), index=True)
    price_cents: Mapped[int]
    bestseller_rank: Mapped[int] = mapped_column(index=True)
    search_text: Mapped[str] = mapped_column(Text)
    """Name and description in lower case: SQLite's own lower() knows only ASCII."""
