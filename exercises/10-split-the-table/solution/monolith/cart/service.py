"""The cart: read, put, remove, clear.

Prices are not kept here: a cart shows today's prices, which the catalog gives. No transaction is open during that call.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select

from ..catalog import UnknownProduct, batch
from ..chassis.database import reading, upsert, writing
from ..chassis.errors import Problem
from ..skus import is_sku
from .models import CartLine

MAX_LINES = 50

# Built once: built per request, they cost 90 µs of CPU more to show a cart, and 340 µs to change one.
LINES = (
    select(CartLine.sku, CartLine.quantity)
    .where(CartLine.customer_id == bindparam("customer_id"))
    .order_by(CartLine.sku)
)
IS_IN = select(CartLine.sku).where(
    CartLine.customer_id == bindparam("customer_id"), CartLine.sku == bindparam("sku")
)
COUNT = select(func.count()).where(CartLine.customer_id == bindparam("customer_id"))
TAKE = (
    delete(CartLine)
    .where(CartLine.customer_id == bindparam("customer_id"))
    .returning(CartLine.sku, CartLine.quantity)
)


class CartFull(Problem):
    status, slug, title = 409, "cart-full", "The cart is full"


def read(customer_id: str) -> dict[str, Any]:
    """The cart with today's names and prices."""
    in_cart = quantities(customer_id)
    return _as_dict(
        (product["sku"], product["name"], product["price_cents"], in_cart[product["sku"]])
        for product in batch(list(in_cart))["items"]
    )


def quantities(customer_id: str) -> dict[str, int]:
    """How many of each product are in the cart, by SKU."""
    with reading() as db:
        return {line.sku: line.quantity for line in db.execute(LINES, {"customer_id": customer_id})}


def put(customer_id: str, sku: str, quantity: int) -> dict[str, Any]:
    """Set how many of a product are in the cart; raises UnknownProduct or CartFull."""
    if not is_sku(sku) or not batch([sku])["items"]:
        raise UnknownProduct(sku)
    with writing() as db:
        _set(db, customer_id, sku, quantity)
    return read(customer_id)


def remove(db: Connection, customer_id: str, sku: str) -> None:
    """Take a product out of the cart, if it is there; raises UnknownProduct for a malformed SKU."""
    if not is_sku(sku):
        raise UnknownProduct(sku)
    db.execute(delete(CartLine).where(CartLine.customer_id == customer_id, CartLine.sku == sku))


def clear(db: Connection, customer_id: str) -> None:
    """Empty the cart."""
    db.execute(delete(CartLine).where(CartLine.customer_id == customer_id))


def take(db: Connection, customer_id: str) -> dict[str, int]:
    """Empty the cart and return its quantities by SKU. Of two concurrent checkouts, the second finds an empty cart."""
    return {line.sku: line.quantity for line in db.execute(TAKE, {"customer_id": customer_id})}


def _set(db: Connection, customer_id: str, sku: str, quantity: int) -> None:
    is_new = db.execute(IS_IN, {"customer_id": customer_id, "sku": sku}).first() is None
    if is_new and db.execute(COUNT, {"customer_id": customer_id}).scalar_one() >= MAX_LINES:
        raise CartFull(f"A cart holds at most {MAX_LINES} different products; remove one first.")
    line = {"customer_id": customer_id, "sku": sku, "quantity": quantity}
    db.execute(_insert_or_replace(db.dialect.name), line)


@cache
def _insert_or_replace(dialect: str) -> Any:
    new = upsert(dialect, CartLine)
    return new.on_conflict_do_update(
        index_elements=["customer_id", "sku"], set_={"quantity": new.excluded.quantity}
    )


def _as_dict(lines: Iterable[Sequence[Any]]) -> dict[str, Any]:
    """The cart as the API shows it."""
    items = [
        {
            "sku": sku,
            "name": name,
            "unit_price_cents": unit_price_cents,
            "quantity": quantity,
            "line_total_cents": unit_price_cents * quantity,
        }
        for sku, name, unit_price_cents, quantity in lines
    ]
    return {"items": items, "total_cents": sum(item["line_total_cents"] for item in items)}
