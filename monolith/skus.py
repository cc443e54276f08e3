"""What a SKU looks like, and SKUs in a query string."""

from __future__ import annotations

import re

from flask import request

from .chassis.validation import invalid

SKU = re.compile(r"[A-Z0-9][A-Z0-9-]{1,19}")


def is_sku(text: str) -> bool:
    """Whether the text has the form of a SKU."""
    return SKU.fullmatch(text) is not None


def query_skus(name: str, most: int) -> list[str]:
    """The query parameter as a list of SKUs, each once, in the order asked."""
    skus = [part for part in request.args.get(name, "").split(",") if part]
    if len(skus) > most:
        raise invalid(name, f"must name at most {most} products")
    if not all(is_sku(sku) for sku in skus):
        raise invalid(name, "must be a comma-separated list of SKUs")
    return list(dict.fromkeys(skus))
