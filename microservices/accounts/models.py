"""Tables that accounts owns."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Float, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The tables of this service, in its own database."""


class Role(StrEnum):
    """What a customer may do."""

    CUSTOMER = "customer"
    ADMIN = "admin"


class Customer(Base):
    """Somebody who can sign in."""

    __tablename__ = "customers"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    role: Mapped[str] = mapped_column(String(16), default=Role.CUSTOMER.value)
    password_hash: Mapped[str] = mapped_column(Text)


class SigningKey(Base):
    """The Ed25519 key that signs tokens; in the database so that every replica signs with the same one."""

    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(String(32), primary_key=True)
    private_pem: Mapped[str] = mapped_column(Text)


class SignInFailure(Base):
    """A wrong password; counted in the database so that the limit holds across replicas."""

    __tablename__ = "sign_in_failures"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), index=True)
    at: Mapped[float] = mapped_column(Float)
