"""Accounts: customers, password hashes and the signing key."""
