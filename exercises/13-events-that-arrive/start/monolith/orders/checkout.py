"""Checkout: one database transaction over the cart, the inventory and the payments.

The database guarantees that all of it happens or none, the stored response included. The catalog is asked before the
transaction begins: while it is open, nobody else can write.

The response is stored under the customer's idempotency key, refusals too, so that a repeated request gets the same
response. A refusal is raised, the first time and every other time. It is final, and says so.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from .. import catalog
from ..cart import service as cart
from ..chassis.database import reading, upsert, writing
from ..chassis.errors import Problem, problem_from
from ..chassis.tracing import traced
from ..inventory import service as inventory
from ..payments import service as payments
from . import cards, sender
from .models import IdempotencyKey, Order, OrderCounter, OrderLine, Status
from .service import show

# Built once: built per request, they and the order's number cost 0.2 ms of CPU more for each checkout.
# A prefix, because in an UPDATE a bound value with a column's name is taken for the column's new value.
THIS_KEY = (
    IdempotencyKey.customer_id == bindparam("b_customer_id"),
    IdempotencyKey.key == bindparam("b_key"),
)
EARLIER = select(IdempotencyKey.fingerprint, IdempotencyKey.status, IdempotencyKey.body).where(*THIS_KEY)
STORE_RESPONSE = (
    update(IdempotencyKey).where(*THIS_KEY).values(status=bindparam("status"), body=bindparam("body"))
)


REPLAYED = {"Idempotency-Replayed": "true"}
"""The header of a repeated response."""


class CartEmpty(Problem):
    status, slug, title = 409, "cart-empty", "The cart is empty"


class KeyReused(Problem):
    status, slug, title = 422, "idempotency-key-reused", "This key belongs to another request"


class KeyTaken(Exception):
    """A concurrent request with the same key was faster."""


class CartChanged(Exception):
    """A concurrent request put a product into the cart after the catalog was asked."""


@dataclass(frozen=True, slots=True)
class Placed:
    """The result of a checkout, as the API shows it."""

    order: dict[str, Any]
    replayed: bool = False
    """Whether it was placed by an earlier request with the same key."""


def checkout(customer_id: str, key: str, card_number: str) -> Placed:
    """Buy what is in the cart, once for each key; raises the problem of a refusal, the same one for a repeated request.

    Only KeyReused is not stored: the key was used with another body.
    """
    fingerprint = cards.fingerprint(card_number)
    try:
        return _checkout_once(customer_id, key, fingerprint, card_number)
    except (KeyTaken, CartChanged):
        # A concurrent request stored the key or changed the cart after we looked; now we see what it did.
        return _checkout_once(customer_id, key, fingerprint, card_number)


def _checkout_once(customer_id: str, key: str, fingerprint: str, card_number: str) -> Placed:
    this_key = {"b_customer_id": customer_id, "b_key": key}
    with reading() as db:
        earlier = db.execute(EARLIER, this_key).first()
    if earlier is not None:
        return _repeat(earlier, fingerprint)
    products = _products(customer_id)
    with writing() as db:
        try:
            claim = {"customer_id": customer_id, "key": key, "fingerprint": fingerprint}
            db.execute(insert(IdempotencyKey), claim)
        except IntegrityError as error:
            raise KeyTaken from error
        outcome: dict[str, Any] | Problem
        try:
            with db.begin_nested():
                outcome = _place_order(db, customer_id, card_number, products)
        except Problem as refusal:
            outcome = refusal
        status, body = (
            (outcome.status, _final(outcome).to_dict()) if isinstance(outcome, Problem) else (201, outcome)
        )
        db.execute(STORE_RESPONSE, {**this_key, "status": status, "body": json.dumps(body)})
    if isinstance(outcome, Problem):
        raise outcome  # outside the block, which would roll back the stored refusal
    sender.announce(customer_id, outcome["id"])
    return Placed(outcome)


def _repeat(earlier: Any, fingerprint: str) -> Placed:
    if earlier.fingerprint != fingerprint:
        raise KeyReused("This Idempotency-Key was used with another body; send a new key for a new checkout.")
    document = json.loads(earlier.body)
    if earlier.status != 201:
        refusal = problem_from(document)
        refusal.headers = REPLAYED
        raise refusal
    return Placed(document, replayed=True)


def _final(refusal: Problem) -> Problem:
    """The refusal that is stored: it says that it is final, and does not ask the client to repeat the request."""
    refusal.facts, refusal.headers = {**refusal.facts, "final": True}, {}
    return refusal


@traced("price the cart")
def _products(customer_id: str) -> dict[str, Any]:
    """What the catalog says now about each product in the cart, by SKU; None for one that it no longer has."""
    skus = list(cart.quantities(customer_id))
    found = {product["sku"]: product for product in catalog.batch(skus)["items"]}
    return {sku: found.get(sku) for sku in skus}


def _place_order(
    db: Connection, customer_id: str, card_number: str, products: dict[str, Any]
) -> dict[str, Any]:
    wanted = cart.take(db, customer_id)
    if not wanted.keys() <= products.keys():
        raise CartChanged
    lines = [_line(products[sku], quantity) for sku, quantity in sorted(wanted.items()) if products[sku]]
    if not lines:
        raise CartEmpty("There is nothing in the cart; put something in first.")
    total_cents = sum(line["unit_price_cents"] * line["quantity"] for line in lines)
    order_id = uuid.uuid4().hex
    inventory.sell(db, {line["sku"]: line["quantity"] for line in lines})
    payments.capture(db, order_id, total_cents, card_number)
    _write_down(db, order_id, customer_id, total_cents, lines)
    return show(db, customer_id, order_id)


def _line(product: dict[str, Any], quantity: int) -> dict[str, Any]:
    return {
        "sku": product["sku"],
        "name": product["name"],
        "category": product["category"],
        "unit_price_cents": product["price_cents"],
        "quantity": quantity,
    }


@traced("write the order down")
def _write_down(
    db: Connection, order_id: str, customer_id: str, total_cents: int, lines: list[dict[str, Any]]
) -> None:
    number = db.execute(_next_number(db.dialect.name), {"id": 1, "last": 1}).scalar_one()
    order = {
        "number": number,
        "id": order_id,
        "customer_id": customer_id,
        "status": Status.CONFIRMED,
        "total_cents": total_cents,
        "created_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    db.execute(insert(Order), order)
    db.execute(insert(OrderLine), [{"order_number": number, **line} for line in lines])


@cache
def _next_number(dialect: str) -> Any:
    counter = upsert(dialect, OrderCounter)
    return counter.on_conflict_do_update(
        index_elements=["id"], set_={"last": OrderCounter.last + 1}
    ).returning(OrderCounter.last)
