"""What a SKU looks like."""

from __future__ import annotations

import re

SKU = re.compile(r"[A-Z0-9][A-Z0-9-]{1,19}")


def is_sku(text: str) -> bool:
    """Whether the text has the form of a SKU."""
    return SKU.fullmatch(text) is not None
