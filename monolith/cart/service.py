"""The cart: read, put, remove, clear.

Prices are not kept here: a cart shows today's prices, read from the catalog's table by a join. That is one of the
three couplings that keep this shop in one piece.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, bindparam, delete, func, select
from sqlalchemy.orm import Session

from monolith.cart.models import CartLine
from monolith.catalog.models import Product
from monolith.catalog.service import UnknownProduct
from monolith.database import Reader
from monolith.errors import ShopError

MOST_LINES = 50
CART = (
    select(CartLine.sku, Product.name, Product.price_cents, CartLine.quantity)
    .join(Product, Product.sku == CartLine.sku)
    .where(CartLine.customer_id == bindparam("customer_id"))
    .order_by(CartLine.sku)
)


class CartFull(ShopError):
    status, slug, title = 409, "cart-full", "The cart is full"


def read(db: Reader, customer_id: str) -> dict[str, Any]:
    """The cart with today's names and prices."""
    rows = db.execute(CART, {"customer_id": customer_id})
    items = [
        {
            "sku": sku,
            "name": name,
            "unit_price_cents": price,
            "quantity": quantity,
            "line_total_cents": price * quantity,
        }
        for sku, name, price, quantity in rows
    ]
    return {"items": items, "total_cents": sum(item["line_total_cents"] for item in items)}


def put(db: Session, customer_id: str, sku: str, quantity: int) -> dict[str, Any]:
    """Set how many of a product are in the cart; raises UnknownProduct or CartFull."""
    if db.scalars(select(Product.sku).where(Product.sku == sku)).first() is None:
        raise UnknownProduct(sku)
    line = db.get(CartLine, (customer_id, sku))
    if line is None:
        lines = db.scalars(select(func.count()).where(CartLine.customer_id == customer_id)).one()
        if lines >= MOST_LINES:
            raise CartFull(f"A cart holds at most {MOST_LINES} different products; remove one first.")
        line = CartLine(customer_id=customer_id, sku=sku)
        db.add(line)
    line.quantity = quantity
    db.flush()
    return read(db, customer_id)


def remove(db: Session, customer_id: str, sku: str) -> None:
    """Take a product out of the cart; taking out what is not there is fine."""
    db.execute(delete(CartLine).where(CartLine.customer_id == customer_id, CartLine.sku == sku))


def clear(db: Session, customer_id: str) -> None:
    """Empty the cart."""
    db.execute(delete(CartLine).where(CartLine.customer_id == customer_id))


def check_out(db: Session, customer_id: str, ordered: Mapping[str, int]) -> None:
    """Take the ordered lines out, but leave a line whose quantity was changed meanwhile."""
    for sku, quantity in ordered.items():
        same = and_(CartLine.sku == sku, CartLine.quantity == quantity)
        db.execute(delete(CartLine).where(CartLine.customer_id == customer_id, same))
