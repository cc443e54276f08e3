"""Requests that nobody thought of: Schemathesis against both shops, from the contract."""
