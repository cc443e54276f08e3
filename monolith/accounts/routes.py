"""The API of accounts."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Blueprint
from pydantic import AfterValidator, Field

from ..chassis.auth import require_customer
from ..chassis.client_address import client_address
from ..chassis.database import reading_session
from ..chassis.validation import Body, body
from . import keys, service

api = Blueprint("accounts", __name__)

LONGEST_EMAIL = 254
EMAIL = r"^[^\s@\x00]{1,64}@[^\s@\x00]{1,185}\.[^\s@.\x00]{1,63}$"


def in_lower_case(text: str) -> str:
    """The email in lower case; a few letters become longer in lower case, so the length is checked again."""
    lowered = text.lower()
    if len(lowered) > LONGEST_EMAIL:
        raise ValueError(f"must have at most {LONGEST_EMAIL} characters")
    return lowered


Email = Annotated[str, Field(max_length=LONGEST_EMAIL, pattern=EMAIL), AfterValidator(in_lower_case)]
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]


class Registration(Body):
    email: Email
    password: Annotated[Text, Field(min_length=8, max_length=128)]
    name: Annotated[Text, Field(min_length=1, max_length=80)]


class Credentials(Body):
    email: Annotated[Text, Field(max_length=LONGEST_EMAIL), AfterValidator(in_lower_case)]
    password: Annotated[Text, Field(max_length=128)]


@api.post("/api/customers")
def register() -> tuple[dict[str, Any], int, dict[str, str]]:
    """Register a customer."""
    new = body(Registration)
    customer = service.register(new.email, new.password, new.name)
    return customer, 201, {"Location": "/api/customers/me"}


@api.get("/api/customers/me")
def profile() -> dict[str, Any]:
    """Show the signed-in customer."""
    customer_id = require_customer().customer_id
    with reading_session() as session:
        return service.profile(session, customer_id)


@api.post("/api/sessions")
def sign_in() -> tuple[dict[str, Any], int]:
    """Sign in: a token for email and password."""
    given = body(Credentials)
    return service.sign_in(given.email, given.password, client_address()), 201


@api.get("/.well-known/jwks.json")
def jwks() -> dict[str, Any]:
    """Publish the keys that tokens can be checked with."""
    with reading_session() as session:
        return keys.public_keys(session)
