"""Checkout: one database transaction over the cart, the stock, the payments and the outbox.

The database guarantees that all of it happens or none, the stored response included. So nothing has to be undone.

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

from sqlalchemy import Connection, insert

from .. import catalog
from ..cart import service as cart
from ..chassis.database import upsert, writing
from ..chassis.errors import Problem, problem_from
from ..chassis.tracing import traced
from ..inventory import service as inventory
from ..payments import service as payments
from . import cards, outbox, store
from .models import Order, OrderCounter, OrderLine, Status
from .service import show
from .store import Claim, Stored

REPLAYED = {"Idempotency-Replayed": "true"}
"""The header of a repeated response."""


class CartEmpty(Problem):
    status, slug, title = 409, "cart-empty", "The cart is empty"


class KeyReused(Problem):
    status, slug, title = 422, "idempotency-key-reused", "This key belongs to another request"


class CartChanged(Exception):
    """A concurrent request changed the cart after it was read."""


@dataclass(frozen=True, slots=True)
class Placed:
    """The result of a checkout, as the API shows it."""

    order: dict[str, Any]
    replayed: bool = False
    """Whether it was placed by an earlier request with the same key."""


@dataclass(frozen=True, slots=True)
class PricedOrder:
    """An order before it is confirmed."""

    id: str
    customer_id: str
    in_cart: dict[str, int]
    lines: list[dict[str, Any]]
    """What of the cart the catalog still has, with its names and prices of now."""

    @property
    def wanted(self) -> dict[str, int]:
        """The ordered quantities, by SKU."""
        return {line["sku"]: line["quantity"] for line in self.lines}

    @property
    def total_cents(self) -> int:
        """The total price."""
        return sum(line["unit_price_cents"] * line["quantity"] for line in self.lines)


def checkout(customer_id: str, key: str, card_number: str) -> Placed:
    """Buy what is in the cart, once for each key; raises the problem of a refusal, the same one for a repeated request.

    Only KeyReused is not stored: the key was used with another body.
    """
    claim = Claim(customer_id, key, cards.fingerprint(card_number))
    try:
        return _checkout_once(claim, card_number)
    except (store.KeyTaken, CartChanged):
        # A concurrent request took the key or changed the cart after we looked; now we see what it did.
        return _checkout_once(claim, card_number)


def _checkout_once(claim: Claim, card_number: str) -> Placed:
    earlier = store.find(claim)
    if earlier is not None:
        return _repeat(claim, earlier)
    order = _price(claim.customer_id)
    with writing() as db:
        store.take_key(db, claim)
        outcome: dict[str, Any] | Problem
        try:
            with db.begin_nested():
                outcome = _place(db, order, card_number)
        except Problem as refusal:
            outcome = refusal
        status, body = (
            (outcome.status, _final(outcome).to_dict()) if isinstance(outcome, Problem) else (201, outcome)
        )
        store.respond(db, claim, status, body)
    if isinstance(outcome, Problem):
        raise outcome  # outside the block, which would roll back the stored refusal
    return Placed(outcome)


def _repeat(claim: Claim, earlier: Stored) -> Placed:
    if earlier.fingerprint != claim.fingerprint:
        raise KeyReused("This Idempotency-Key was used with another body; send a new key for a new checkout.")
    document = json.loads(earlier.body or "{}")
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
def _price(customer_id: str) -> PricedOrder:
    in_cart = cart.quantities(customer_id)
    lines = [
        {
            "sku": product["sku"],
            "name": product["name"],
            "category": product["category"],
            "unit_price_cents": product["price_cents"],
            "quantity": in_cart[product["sku"]],
        }
        for product in catalog.batch(list(in_cart))["items"]
    ]
    return PricedOrder(uuid.uuid4().hex, customer_id, in_cart, lines)


def _place(db: Connection, order: PricedOrder, card_number: str) -> dict[str, Any]:
    if cart.take(db, order.customer_id) != order.in_cart:
        raise CartChanged
    if not order.lines:
        raise CartEmpty("There is nothing in the cart; put something in first.")
    inventory.sell(db, order.wanted)
    payments.capture(db, order.id, order.total_cents, card_number)
    _write_down(db, order)
    outbox.record(db, order.customer_id, order.id)
    return show(db, order.customer_id, order.id)


@traced("write the order down")
def _write_down(db: Connection, order: PricedOrder) -> None:
    number = db.execute(_next_number(db.dialect.name), {"id": 1, "last": 1}).scalar_one()
    row = {
        "number": number,
        "id": order.id,
        "customer_id": order.customer_id,
        "status": Status.CONFIRMED,
        "total_cents": order.total_cents,
        "created_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    db.execute(insert(Order), row)
    db.execute(insert(OrderLine), [{"order_number": number, **line} for line in order.lines])


@cache
def _next_number(dialect: str) -> Any:
    counter = upsert(dialect, OrderCounter)
    return counter.on_conflict_do_update(
        index_elements=["id"], set_={"last": OrderCounter.last + 1}
    ).returning(OrderCounter.last)
