"""The catalog in this process: the functions of `client`, answered from the shop's own tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..chassis.database import reading
from . import service


def products(category: str, q: str, page: int, page_size: int) -> dict[str, Any]:
    """One page of products, bestsellers first; `category` and `q` narrow it when they are not empty."""
    with reading() as db:
        return service.products(db, category, q, page, page_size)


def categories() -> dict[str, Any]:
    """Every category with its number of products, by name."""
    with reading() as db:
        return service.categories(db)


def batch(skus: Sequence[str]) -> dict[str, Any]:
    """The products with these SKUs, in the order asked; unknown ones are left out."""
    with reading() as db:
        return service.batch(db, skus)
