"""A customer's tokens, EdDSA, checked against the public keys of this shop.

The algorithm is pinned: a token that names another one, or none, is refused.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt

from .errors import NotAuthenticated

ISSUER = AUDIENCE = "shop"
MAX_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Identity:
    """A signed-in customer."""

    customer_id: str
    role: str
    expires: float


class TokenVerifier:
    """Checks tokens against public keys by key id, and caches the valid ones until they expire."""

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
            if len(self._verified) >= MAX_REMEMBERED:
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
