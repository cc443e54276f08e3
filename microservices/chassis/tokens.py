"""Two kinds of tokens, both EdDSA: a customer's, checked against a published key set, and a service's.

A service signs its tokens with its own key and names the callee as audience, so a token for one service is not valid
at another. The algorithm is pinned: a token that names another one, or none, is refused.
PyJWT is imported when the first token arrives, so that replicas start faster.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import NotAuthenticated, UpstreamError

ISSUER = AUDIENCE = "shop"
MAX_REMEMBERED = 10_000
SERVICE_TOKEN_SECONDS = 300
REFETCH_SECONDS = 5.0
REFETCH_AFTER_FAILURE_SECONDS = 0.5


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
        import jwt

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


class PublishedKeys:
    """Finds the public key with a key id in a key set (JWKS) that another service publishes.

    The set is fetched when first needed. An unknown key id fetches it again, at most every 5 s, so that tokens with
    invented key ids do not cause a call each. While the set cannot be fetched, that error is raised, because the token
    may be valid.
    """

    def __init__(
        self, fetch: Callable[[], Mapping[str, Any]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch, self._clock = fetch, clock
        self._keys: dict[str, Any] = {}
        self._next_fetch = float("-inf")
        self._failure: UpstreamError | None = None
        self._lock = threading.Lock()

    def __call__(self, kid: str) -> Any | None:
        if kid not in self._keys:
            with self._lock:
                if kid not in self._keys and self._clock() >= self._next_fetch:
                    self._refetch()
            if kid not in self._keys and self._failure is not None:
                raise type(self._failure)(self._failure.detail)
        return self._keys.get(kid)

    def _refetch(self) -> None:
        import jwt

        try:
            self._keys = {
                jwk.key_id: jwk.key for jwk in jwt.PyJWKSet.from_dict(dict(self._fetch())).keys if jwk.key_id
            }
            self._failure = None
        except (jwt.PyJWTError, AttributeError, LookupError, TypeError, ValueError):
            self._failure = UpstreamError("The key set that tokens are checked with is not valid.")
        except UpstreamError as failure:
            self._failure = failure
        pause = REFETCH_SECONDS if self._failure is None else REFETCH_AFTER_FAILURE_SECONDS
        self._next_fetch = self._clock() + pause


class ServiceTokens:
    """Issues tokens for calls to other services and checks those of callers; both sides cache them."""

    def __init__(self, service: str, private_key: bytes | None, trusted: Mapping[str, bytes]) -> None:
        self._service, self._private_key, self._trusted = service, private_key, trusted
        self._issued: dict[str, tuple[str, float]] = {}
        self._verified: dict[str, tuple[str, float]] = {}

    def issue(self, audience: str) -> str | None:
        """A token for calls to `audience`, reused for most of its lifetime; None without a key to sign with."""
        token, good_until = self._issued.get(audience, ("", 0.0))
        if good_until > time.time():
            return token
        if self._private_key is None:
            return None
        import jwt
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        now = int(time.time())
        claims = {"iss": self._service, "aud": audience, "iat": now, "exp": now + SERVICE_TOKEN_SECONDS}
        token = jwt.encode(claims, Ed25519PrivateKey.from_private_bytes(self._private_key), algorithm="EdDSA")
        self._issued[audience] = (token, now + SERVICE_TOKEN_SECONDS * 0.8)
        return token

    def verify(self, token: str) -> str:
        """The service that signed the token for us; raises NotAuthenticated."""
        caller, expires = self._verified.get(token, ("", 0.0))
        if expires > time.time():
            return caller
        caller, expires = self._check(token)
        if len(self._verified) >= MAX_REMEMBERED:
            self._verified.clear()
        self._verified[token] = (caller, expires)
        return caller

    def _check(self, token: str) -> tuple[str, float]:
        import jwt
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            caller = str(jwt.decode(token, options={"verify_signature": False}).get("iss"))
            key = Ed25519PublicKey.from_public_bytes(self._trusted[caller])
            claims = jwt.decode(
                token,
                key,
                algorithms=["EdDSA"],
                audience=self._service,
                issuer=caller,
                options={"require": ["exp", "iat"]},
            )
        except (jwt.PyJWTError, KeyError, ValueError):
            raise NotAuthenticated("The service token is not valid here.") from None
        if claims["exp"] - claims["iat"] > SERVICE_TOKEN_SECONDS:
            raise NotAuthenticated("The service token is good for too long.")
        return caller, claims["exp"]
