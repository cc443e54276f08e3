"""What is stored of a card: enough to recognise it beside its idempotency key, not enough to find its number.

A plain hash is not safe: a number has sixteen digits, those of the bank and the check digit are known, and a computer
tries all the others in seconds. So the hash has a secret key, and the key is not in the database. A copy of the tables
alone is not enough to test numbers.
"""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from ..chassis.runtime import runtime
from .settings import Settings

KEY_BYTES = 32


def fingerprint(card_number: str) -> str:
    """A hash of the card number, equal for the same card as long as the key is the same."""
    return hmac.new(runtime().settings(Settings).card_key, card_number.encode(), "sha256").hexdigest()


def ensure_key(file: Path) -> bytes:
    """The key in the file, made unless there is one; replicas that start together all get the same key."""
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = file.with_name(f"{file.name}.{os.getpid()}-{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
            new.write(secrets.token_bytes(KEY_BYTES))
        with suppress(FileExistsError):
            os.link(draft, file)  # unlike a rename, this does not replace the key of a faster replica
        draft.unlink()
    return file.read_bytes()
