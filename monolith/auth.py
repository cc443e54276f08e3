"""Who is asking: reads the bearer token (API) and turns it into an identity, or refuses.

The algorithm is pinned to EdDSA: a token that names another one, or none, is not looked at further.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
from flask import current_app, request

from .errors import Forbidden, NotAuthenticated

ISSUER = AUDIENCE = "shop"
MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Identity:
    """A signed-in customer."""

    customer_id: str
    role: str
    expires: float


class TokenVerifier:
    """Checks tokens against public keys by key id, and remembers those that were good until they expire."""

    def __init__(self, find_key: Callable[[str], Any | None]) -> None:
        self._find_key = find_key
        self._verified: dict[str, Identity] = {}
        self._lock = threading.Lock()

    def verify(self, token: str) -> Identity:
        """The identity that the token proves; raises NotAuthenticated for any other text."""
        known = self._verified.get(token)
        if known is not None and known.expires > time.time():
            return known
        identity = self._check(token)
        with self._lock:
            if len(self._verified) >= MOST_REMEMBERED:
                self._verified.clear()
            self._verified[token] = identity
        return identity

    def _check(self, token: str) -> Identity:
        try:
            key = self._find_key(jwt.get_unverified_header(token).get("kid", ""))
            if key is None:
                raise NotAuthenticated("The token is not valid; sign in again.")
            claims = jwt.decode(
                token,
                key,
                algorithms=["EdDSA"],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": ["sub", "exp", "iat"]},
            )
            return Identity(claims["sub"], claims["role"], claims["exp"])
        except (jwt.PyJWTError, KeyError, ValueError):
            raise NotAuthenticated("The token is not valid or has expired; sign in again.") from None


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
    """The identity that a token proves, wherever the token came from."""
    verifier: TokenVerifier = current_app.extensions["token_verifier"]
    return verifier.verify(token)


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
