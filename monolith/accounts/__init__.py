"""Accounts: customers, password hashes and the signing key."""

from monolith.accounts.keys import KeyFinder, ensure_signing_key
from monolith.accounts.routes import api
from monolith.accounts.service import hash_password, profile, register, sign_in

__all__ = ["KeyFinder", "api", "ensure_signing_key", "hash_password", "profile", "register", "sign_in"]
