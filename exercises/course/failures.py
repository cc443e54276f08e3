"""How the five parts of a "not yet" are named, and the request that can be copied from the first."""

from __future__ import annotations

LABELS = (("did", "I did"), ("expected", "Expected"), ("got", "Got"), ("why", "Why"), ("look", "Look at"))
"""Each part, and its name for people, in the order in which they are read."""
SIGN_IN = (
    "TOKEN=$(curl -s http://127.0.0.1:8000/api/sessions -H 'Content-Type: application/json' "
    """-d '{"email": "ada@example.com", "password": "correct-horse-battery"}' """
    """| python -c 'import json, sys; print(json.load(sys.stdin)["token"])')"""
)
"""Signs a customer of the data set in; the customer of a check is gone after the run."""
CURL = "curl -i "


def split_request(did: str) -> tuple[str, list[str]]:
    """The sentence of what a check did, and the lines to copy that do the same; no lines without a request."""
    sentence, curl, request = " ".join(did.split()).partition(CURL)
    if not curl:
        return sentence, []
    lines = [SIGN_IN] if "$TOKEN" in request else []
    return sentence.rstrip(": "), [*lines, curl + request]
