"""Accounts: customers, password hashes and the signing key."""

from .keys import KeyFinder, ensure_signing_key
from .routes import api
from .service import hash_password, profile, register, sign_in

__all__ = ["KeyFinder", "api", "ensure_signing_key", "hash_password", "profile", "register", "sign_in"]
