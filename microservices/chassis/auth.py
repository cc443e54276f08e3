"""Authentication: reads the bearer token of a customer or the token of a service, or refuses the request."""

from __future__ import annotations

import re

from flask import request

from .errors import Forbidden, NotAuthenticated
from .runtime import runtime
from .tokens import Identity


def current_identity() -> Identity | None:
    """The identity behind this request's bearer token; None when it carries none."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotAuthenticated("Send the token as `Authorization: Bearer <token>`.")
    return verify_token(token)


def verify_token(token: str) -> Identity:
    """The identity that a token proves; the token may come from a header or from a cookie."""
    return runtime().token_verifier.verify(token)


def session_cookie() -> str:
    """The name of the pages' cookie with the token, for the address that this request names.

    A browser sends a cookie to all ports of a host. With the port in the name, two shops on one machine do not
    overwrite each other's.
    """
    port = re.search(r":(\d{1,5})$", request.headers.get("Host", ""))
    return f"shop_session_{port[1]}" if port else "shop_session"


def require_customer() -> Identity:
    """The signed-in customer; raises NotAuthenticated when nobody is signed in."""
    identity = current_identity()
    if identity is None:
        raise NotAuthenticated("This needs a signed-in customer.")
    return identity


def require_admin() -> Identity:
    """The signed-in admin; raises Forbidden for any other customer."""
    identity = require_customer()
    if identity.role != "admin":
        raise Forbidden("Only an admin may do this.")
    return identity


def require_service(*callers: str) -> str:
    """The calling service; raises NotAuthenticated without its token, Forbidden if not one of `callers`."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "service" or not token:
        raise NotAuthenticated("This is for other services only; send `Authorization: Service <token>`.")
    caller = runtime().service_tokens.verify(token)
    if callers and caller not in callers:
        raise Forbidden(f"This is not for the {caller} service.")
    return caller
