"""Checkout: one database transaction over the cart, the catalog, the inventory and the payments.

All of it happens or none of it, and the database sees to that: the second of the three couplings that keep this shop
in one piece. The answer is stored under the customer's idempotency key in the same transaction, refusals too, so
that whoever repeats a request learns what became of it.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from monolith import catalog
from monolith.cart import service as cart
from monolith.database import writing
from monolith.errors import ShopError
from monolith.inventory import service as inventory
from monolith.orders.models import IdempotencyKey, Order, OrderCounter, OrderLine, Status
from monolith.orders.service import show
from monolith.payments import service as payments


class CartEmpty(ShopError):
    status, slug, title = 409, "cart-empty", "The cart is empty"


class KeyReused(ShopError):
    status, slug, title = 422, "idempotency-key-reused", "This key belongs to another request"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a checkout was answered: an order (201) or a problem."""

    status: int
    body: dict[str, Any]
    replayed: bool = False


def checkout(customer_id: str, key: str, card_number: str) -> Answer:
    """Buy what is in the cart, once for each key; raises KeyReused when the key came with another body."""
    fingerprint = hashlib.sha256(card_number.encode()).hexdigest()
    try:
        return _checkout_once(customer_id, key, fingerprint, card_number)
    except IntegrityError:
        # Somebody else claimed the key between our look and our claim; now its answer can be read.
        return _checkout_once(customer_id, key, fingerprint, card_number)


def _checkout_once(customer_id: str, key: str, fingerprint: str, card_number: str) -> Answer:
    with writing() as db:
        earlier = db.get(IdempotencyKey, (customer_id, key))
        if earlier is not None:
            return _repeat(earlier, fingerprint)
        claim = IdempotencyKey(customer_id=customer_id, key=key, fingerprint=fingerprint)
        db.add(claim)
        db.flush()
        try:
            with db.begin_nested():
                answer = Answer(201, _place_order(db, customer_id, card_number))
        except ShopError as refusal:
            answer = Answer(refusal.status, refusal.to_dict())
        claim.status, claim.body = answer.status, json.dumps(answer.body)
    return answer


def _repeat(earlier: IdempotencyKey, fingerprint: str) -> Answer:
    if earlier.fingerprint != fingerprint:
        raise KeyReused("This Idempotency-Key was used with another body; send a new key for a new checkout.")
    assert earlier.status is not None
    assert earlier.body is not None
    return Answer(earlier.status, json.loads(earlier.body), replayed=True)


def _place_order(db: Session, customer_id: str, card_number: str) -> dict[str, Any]:
    wanted = {item["sku"]: item["quantity"] for item in cart.read(db, customer_id)["items"]}
    if not wanted:
        raise CartEmpty("There is nothing in the cart; put something in first.")
    order = _price(db, customer_id, wanted)
    inventory.sell(db, wanted)
    payments.capture(db, order.id, order.total_cents, card_number)
    cart.check_out(db, customer_id, wanted)
    order.number = _next_number(db)
    db.add(order)
    db.flush()
    return show(db, customer_id, order.id)


def _price(db: Session, customer_id: str, wanted: dict[str, int]) -> Order:
    products = catalog.batch(db, sorted(wanted))["items"]
    lines = [
        OrderLine(
            sku=product["sku"],
            name=product["name"],
            category=product["category"],
            unit_price_cents=product["price_cents"],
            quantity=wanted[product["sku"]],
        )
        for product in products
    ]
    return Order(
        id=uuid.uuid4().hex,
        customer_id=customer_id,
        status=Status.CONFIRMED,
        total_cents=sum(line.unit_price_cents * line.quantity for line in lines),
        created_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        lines=lines,
    )


def _next_number(db: Session) -> int:
    counted = update(OrderCounter).values(last=OrderCounter.last + 1).returning(OrderCounter.last)
    number = db.scalars(counted).first()
    if number is None:
        db.add(OrderCounter(id=1, last=1))
        db.flush()
        return db.scalars(select(OrderCounter.last)).one()
    return number
