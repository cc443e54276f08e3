"""Customers: register, sign in, look at the own profile."""

from __future__ import annotations

import time
import uuid
from typing import Any, ClassVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import current_app
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from monolith.accounts.keys import issue_token
from monolith.accounts.models import Customer, Role, SignInFailure
from monolith.database import reading, writing
from monolith.errors import NotAuthenticated, ShopError

FAILURES_ALLOWED = 10
FAILURE_WINDOW_SECONDS = 15 * 60

# OWASP's password storage cheat sheet: Argon2id with 19 MiB of memory, two passes, one lane.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Verified when the email is unknown, so that the time to answer does not tell which emails exist.
_nobodys_hash = _hasher.hash("nobody")

PROFILE = select(Customer.id, Customer.email, Customer.name, Customer.role).where(
    Customer.id == bindparam("id")
)
CREDENTIALS = select(Customer.id, Customer.role, Customer.password_hash).where(
    Customer.email == bindparam("email")
)


class EmailTaken(ShopError):
    status, slug, title = 409, "email-taken", "This email is taken"


class WrongCredentials(ShopError):
    status, slug, title = 401, "wrong-credentials", "Email or password is wrong"
    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": "Bearer"}


class TooManyAttempts(ShopError):
    status, slug, title = 429, "too-many-attempts", "Too many wrong passwords"
    headers: ClassVar[dict[str, str]] = {"Retry-After": str(FAILURE_WINDOW_SECONDS)}


def register(email: str, password: str, name: str) -> dict[str, Any]:
    """Add a customer; raises EmailTaken when somebody has the email already.

    Opens its own transaction: hashing a password takes 20 ms, and nobody should wait for the lock meanwhile.
    """
    new = {
        "id": uuid.uuid4().hex,
        "email": email,
        "name": name,
        "role": Role.CUSTOMER,
        "password_hash": hash_password(password),
    }
    try:
        with writing() as db:
            db.execute(insert(Customer), new)
            return profile(db, new["id"])
    except IntegrityError:
        raise EmailTaken("A customer with this email exists already; sign in instead.") from None


def sign_in(email: str, password: str) -> dict[str, Any]:
    """A token for the customer; raises WrongCredentials, or TooManyAttempts after ten wrong ones.

    Opens its own connections: a sign-in only reads, and a wrong password must be remembered although it is refused.
    """
    try:
        with reading() as db:
            _refuse_after_too_many(db, email)
            customer = _find(db, email, password)
            minutes: int = current_app.extensions["config"].token_minutes
            token = issue_token(db, customer.id, customer.role, minutes)
    except WrongCredentials:
        with writing() as db:
            _remember_failure(db, email)
        raise
    return {"token": token, "token_type": "Bearer", "expires_in": 60 * minutes}


def profile(db: Connection, customer_id: str) -> dict[str, Any]:
    """The customer's own data."""
    row = db.execute(PROFILE, {"id": customer_id}).first()
    if row is None:
        raise NotAuthenticated("The customer of this token no longer exists; sign in again.")
    return row._asdict()


def hash_password(password: str) -> str:
    """The password as an Argon2id hash."""
    return _hasher.hash(password)


def _refuse_after_too_many(db: Connection, email: str) -> None:
    oldest = time.time() - FAILURE_WINDOW_SECONDS
    failures = select(func.count()).where(SignInFailure.email == email, SignInFailure.at > oldest)
    if db.execute(failures).scalar_one() >= FAILURES_ALLOWED:
        raise TooManyAttempts(
            "There were too many wrong passwords for this email; wait a quarter of an hour."
        )


def _find(db: Connection, email: str, password: str) -> Row[str, str, str]:
    customer = db.execute(CREDENTIALS, {"email": email}).first()
    try:
        _hasher.verify(customer.password_hash if customer else _nobodys_hash, password)
    except (VerificationError, InvalidHashError):
        customer = None
    if customer is None:
        raise WrongCredentials("No customer has this email and password.")
    return customer


def _remember_failure(db: Connection, email: str) -> None:
    now = time.time()
    db.execute(delete(SignInFailure).where(SignInFailure.at <= now - FAILURE_WINDOW_SECONDS))
    db.execute(insert(SignInFailure), {"email": email, "at": now})
