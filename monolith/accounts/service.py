"""Customers: register, sign in, show the profile."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ..chassis.database import reading_session, writing_session
from ..chassis.errors import NotAuthenticated, Problem
from ..chassis.runtime import runtime
from . import limits
from .keys import issue_token
from .models import Customer, Role

# OWASP's password storage cheat sheet: Argon2id with 19 MiB of memory, two passes, one lane.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Verified when the email is unknown, so that the time to answer does not tell which emails exist.
_unknown_email_hash = _hasher.hash("nobody")


class EmailTaken(Problem):
    status, slug, title = 409, "email-taken", "This email is taken"


class WrongCredentials(Problem):
    status, slug, title = 401, "wrong-credentials", "Email or password is wrong"
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


def register(email: str, password: str, name: str) -> dict[str, Any]:
    """Add a customer; raises EmailTaken when another customer has the email.

    Opens its own transaction: hashing a password takes 20 ms, and no other request should wait for the lock.
    """
    customer = Customer(
        id=uuid.uuid4().hex,
        email=email,
        name=name,
        role=Role.CUSTOMER,
        password_hash=hash_password(password),
    )
    try:
        with writing_session() as session:
            session.add(customer)
            return _as_dict(customer)
    except IntegrityError:
        raise EmailTaken("A customer with this email exists already; sign in instead.") from None


def sign_in(email: str, password: str, address: str | None) -> dict[str, Any]:
    """A token for the customer; raises WrongCredentials, or TooManyAttempts without checking the password.

    `address` is the client's. Opens its own connections: a try counts although it is refused, and no transaction is
    open while the hash is computed.
    """
    network = limits.network_of(address)
    taken = limits.take_try(email, network)
    minutes = runtime().config.token_minutes
    try:
        with reading_session() as session:
            customer = _find(session, email, password)
            token = issue_token(session, customer, minutes)
    except WrongCredentials:
        limits.sweep_expired()
        raise
    limits.record_success(email, network, taken)
    return {"token": token, "token_type": "Bearer", "expires_in": 60 * minutes}


def profile(session: Session, customer_id: str) -> dict[str, Any]:
    """The customer's own data."""
    customer = session.get(Customer, customer_id)
    if customer is None:
        raise NotAuthenticated("The customer of this token no longer exists; sign in again.")
    return _as_dict(customer)


def hash_password(password: str) -> str:
    """The password as an Argon2id hash."""
    return _hasher.hash(password)


def _find(session: Session, email: str, password: str) -> Customer:
    customer = session.scalars(select(Customer).where(Customer.email == email)).one_or_none()
    try:
        _hasher.verify(customer.password_hash if customer else _unknown_email_hash, password)
    except (VerificationError, InvalidHashError):
        customer = None
    if customer is None:
        raise WrongCredentials("No customer has this email and password.")
    return customer


def _as_dict(customer: Customer) -> dict[str, Any]:
    return {"id": customer.id, "email": customer.email, "name": customer.name, "role": customer.role}
