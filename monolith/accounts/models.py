"""Tables that accounts owns."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Float, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..chassis.database import Base


class Role(StrEnum):
    """What a customer may do."""

    CUSTOMER = "customer"
    ADMIN = "admin"


class Customer(Base):
    """A person who can sign in."""

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


class Tries(Base):
    """The sign-in tries that are left for an email, from one network or from all together; see limits.py."""

    __tablename__ = "sign_in_tries"

    email: Mapped[str] = mapped_column(String(254), primary_key=True)
    place: Mapped[str] = mapped_column(String(64), primary_key=True)
    full_at: Mapped[float] = mapped_column(Float, index=True)


class KnownNetwork(Base):
    """A network from which a customer has signed in."""

    __tablename__ = "known_networks"

    email: Mapped[str] = mapped_column(String(254), primary_key=True)
    network: Mapped[str] = mapped_column(String(64), primary_key=True)
    seen_at: Mapped[float] = mapped_column(Float, index=True)
