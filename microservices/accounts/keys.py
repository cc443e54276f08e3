"""The shop's signing key: made once, kept in the database, its public half published as JWKS (RFC 8037)."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ..chassis.database import Database
from ..chassis.tokens import AUDIENCE, ISSUER
from .models import Customer, SigningKey


def ensure_signing_key(database: Database) -> None:
    """Make the shop's signing key unless there is one."""
    with database.reading_session() as session:
        if _private_keys(session):
            return
    with database.writing_session() as session:
        if not database.is_sqlite:  # SQLite's writers take turns anyway
            session.execute(text("LOCK TABLE signing_keys IN EXCLUSIVE MODE"))
        if not _private_keys(session):
            session.add(_new_key())


def issue_token(session: Session, customer: Customer, minutes: int) -> str:
    """A token that proves who the customer is, valid for `minutes`."""
    kid, private = next(iter(_private_keys(session).items()))
    now = int(time.time())
    claims = {
        "sub": customer.id,
        "role": customer.role,
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + 60 * minutes,
    }
    return jwt.encode(claims, private, algorithm="EdDSA", headers={"kid": kid})


def public_keys(session: Session) -> dict[str, Any]:
    """The public keys as a JSON Web Key Set."""
    keys = [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "use": "sig",
            "alg": "EdDSA",
            "kid": kid,
            "x": base64.urlsafe_b64encode(_raw(private.public_key())).rstrip(b"=").decode(),
        }
        for kid, private in _private_keys(session).items()
    ]
    return {"keys": keys}


class KeyFinder:
    """Finds the public key with a key id; a key does not change, so the database is asked only for unknown ones."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys: Mapping[str, Ed25519PublicKey] = {}

    def __call__(self, kid: str) -> Ed25519PublicKey | None:
        if kid not in self._keys:
            with self._database.reading_session() as session:
                self._keys = {kid: key.public_key() for kid, key in _private_keys(session).items()}
        return self._keys.get(kid)


def _new_key() -> SigningKey:
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    kid = hashlib.sha256(_raw(private.public_key())).hexdigest()[:16]
    return SigningKey(kid=kid, private_pem=pem)


def _private_keys(session: Session) -> dict[str, Ed25519PrivateKey]:
    found: dict[str, Ed25519PrivateKey] = {}
    for stored in session.scalars(select(SigningKey).order_by(SigningKey.kid)):
        key = load_pem_private_key(stored.private_pem.encode(), password=None)
        assert isinstance(key, Ed25519PrivateKey)
        found[stored.kid] = key
    return found


def _raw(public: Ed25519PublicKey) -> bytes:
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)
