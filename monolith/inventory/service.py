"""Stock: how many are there, set it, sell some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from monolith.catalog import UnknownProduct
from monolith.database import Reader
from monolith.errors import ShopError
from monolith.inventory.models import Stock

AVAILABLE = select(Stock.available).where(Stock.sku == bindparam("sku"))


class OutOfStock(ShopError):
    status, slug, title = 409, "out-of-stock", "Not enough in stock"

    def __init__(self, sku: str, wanted: int, available: int) -> None:
        super().__init__(
            f"There are {available} of {sku} left, and {wanted} were wanted.",
            sku=sku,
            wanted=wanted,
            available=available,
        )


def availability(db: Reader, sku: str) -> dict[str, Any]:
    """How many of a product can be bought now; raises UnknownProduct."""
    available = db.execute(AVAILABLE, {"sku": sku}).scalar()
    if available is None:
        raise UnknownProduct(sku)
    return {"sku": sku, "available": available}


def set_available(db: Session, sku: str, available: int) -> dict[str, Any]:
    """Set how many can be bought, as after a delivery or a count; raises UnknownProduct."""
    db.execute(
        update(Stock).where(Stock.sku == sku).values(available=available, received=available + Stock.sold)
    )
    return availability(db, sku)


def sell(db: Session, wanted: Mapping[str, int]) -> None:
    """Take pieces out of the stock, all or nothing: raises OutOfStock for the first SKU there is too little of."""
    for sku, quantity in sorted(wanted.items()):
        taken = db.execute(
            update(Stock)
            .where(Stock.sku == sku, Stock.available >= quantity)
            .values(available=Stock.available - quantity, sold=Stock.sold + quantity)
            .returning(Stock.sku)
        ).first()
        if taken is None:
            raise OutOfStock(sku, quantity, availability(db, sku)["available"])
