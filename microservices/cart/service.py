"""The cart: read, put, remove, clear.

Prices are not kept here: a cart shows today's prices, which the catalog gives. No transaction is open during that call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select

from ..chassis.database import reading, upsert, writing
from ..chassis.errors import Problem
from . import clients
from .answers import Product
from .models import CartLine
from .skus import is_sku

MAX_LINES = 50

# Built once: built per request, they cost 80 µs of CPU more to show a cart, and 350 µs to change one.
LINES = (
    select(CartLine.sku, CartLine.quantity)
    .where(CartLine.customer_id == bindparam("customer_id"))
    .order_by(CartLine.sku)
)
IS_IN = select(CartLine.sku).where(
    CartLine.customer_id == bindparam("customer_id"), CartLine.sku == bindparam("sku")
)
COUNT = select(func.count()).where(CartLine.customer_id == bindparam("customer_id"))
TAKE_OUT = delete(CartLine).where(
    CartLine.customer_id == bindparam("customer_id"),
    CartLine.sku == bindparam("sku"),
    CartLine.quantity == bindparam("quantity"),
)


class UnknownProduct(Problem):
    status, slug, title = 404, "unknown-product", "There is no such product"

    def __init__(self, sku: str) -> None:
        super().__init__(f"The shop has no product {sku}.", sku=sku)


class CartFull(Problem):
    status, slug, title = 409, "cart-full", "The cart is full"


def read(customer_id: str) -> dict[str, Any]:
    """The cart with today's names and prices."""
    with reading() as db:
        quantities = lines(db, customer_id)
    return _priced(quantities, clients.products(quantities))


def put(customer_id: str, sku: str, quantity: int) -> dict[str, Any]:
    """Set how many of a product are in the cart; raises UnknownProduct or CartFull."""
    if not is_sku(sku):
        raise UnknownProduct(sku)
    with reading() as db:
        quantities = lines(db, customer_id)
    products = clients.products({*quantities, sku})
    if sku not in products:
        raise UnknownProduct(sku)
    with writing() as db:
        _set(db, customer_id, sku, quantity)
        quantities = lines(db, customer_id)
    if not products.keys() >= quantities.keys():
        # Another request of this customer put something in meanwhile.
        products = clients.products(quantities)
    return _priced(quantities, products)


def remove(db: Connection, customer_id: str, sku: str) -> None:
    """Take a product out of the cart, if it is there; raises UnknownProduct for a malformed SKU."""
    if not is_sku(sku):
        raise UnknownProduct(sku)
    db.execute(delete(CartLine).where(CartLine.customer_id == customer_id, CartLine.sku == sku))


def clear(db: Connection, customer_id: str) -> None:
    """Empty the cart."""
    db.execute(delete(CartLine).where(CartLine.customer_id == customer_id))


def lines(db: Connection, customer_id: str) -> dict[str, int]:
    """The quantities in the cart, by SKU."""
    return {line.sku: line.quantity for line in db.execute(LINES, {"customer_id": customer_id})}


def check_out(db: Connection, customer_id: str, ordered: Mapping[str, int]) -> None:
    """Take the ordered lines out, but leave a line whose quantity was changed meanwhile."""
    lines = [
        {"customer_id": customer_id, "sku": sku, "quantity": quantity} for sku, quantity in ordered.items()
    ]
    if lines:
        db.execute(TAKE_OUT, lines)


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


def _priced(quantities: Mapping[str, int], products: Mapping[str, Product]) -> dict[str, Any]:
    return _as_dict(
        (sku, products[sku]["name"], products[sku]["price_cents"], quantity)
        for sku, quantity in quantities.items()
        if sku in products
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
