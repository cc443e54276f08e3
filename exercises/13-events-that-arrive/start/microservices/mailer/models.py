"""Tables that the mailer owns."""

from __future__ import annotations

from sqlalchemy import String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The tables of this service, in its own database."""


class Mail(Base):
    """A mail that is written; the postman brings it to the post office."""

    __tablename__ = "mails"

    number: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[str] = mapped_column(String(80), unique=True)
    text: Mapped[str] = mapped_column(Text)
    """All of it, with its headers."""
    delivered_at: Mapped[str | None] = mapped_column(String(20))
    """None while it waits."""
