"""Checkout: a saga over two databases. The stock is in the inventory's; cart, payment, order and response are in ours.

No transaction spans both. So each step outside has its undo, and what has begun is stored before the first of them:

    begin      our database: the key is taken
    reserve    at the inventory; undone by a release
    confirm    our database, in one transaction: cart, payment, order and response. The point of no return
    commit     at the inventory: what is reserved is sold

The response is stored under the customer's idempotency key, refusals too, so that a repeated request gets the same
response. A refusal is raised, the first time and every other time. It is final, and says so. When a part of the shop
does not answer, nothing is stored: the key is free again.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, insert

from .. import catalog, inventory
from ..cart import service as cart
from ..chassis.database import upsert, writing
from ..chassis.errors import Problem, Unavailable, problem_from
from ..chassis.tracing import traced
from ..payments import service as payments
from . import cards, outbox, store
from .models import Order, OrderCounter, OrderLine, Status, Step
from .service import show
from .store import Claim, Stored

log = logging.getLogger(__name__)

WAIT_SECONDS, POLL_SECONDS = 1.0, 0.05
"""How long a repeated request waits for the first one."""
REPLAYED = {"Idempotency-Replayed": "true"}
"""The header of a repeated response."""


class CartEmpty(Problem):
    status, slug, title = 409, "cart-empty", "The cart is empty"


class KeyReused(Problem):
    status, slug, title = 422, "idempotency-key-reused", "This key belongs to another request"


class CheckoutInProgress(Problem):
    status, slug, title = 409, "checkout-in-progress", "This checkout is still running"
    headers: Mapping[str, str] = {"Retry-After": "1"}


class CartChanged(Unavailable):
    """A concurrent request changed the cart after it was read."""


class Overtaken(Unavailable):
    """The recovery took the request for interrupted, and cancelled its checkout."""


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

    Not stored are KeyReused (the key was used with another body), CheckoutInProgress (there is no result yet) and
    Unavailable.
    """
    claim = Claim(customer_id, key, cards.fingerprint(card_number))
    try:
        return _checkout_once(claim, card_number)
    except CartChanged:
        return _checkout_once(claim, card_number)


def recover() -> bool:
    """Finish a checkout that was interrupted; returns whether there was one."""
    found = store.take_over()
    if found is None:
        return False
    order_id, step = found
    log.warning("taking up order %s, which was left %s", order_id, step)
    if step is Step.BEGUN:
        _refuse(order_id, Overtaken("The checkout was interrupted."))
    else:
        _settle(order_id, step)
    return True


def _checkout_once(claim: Claim, card_number: str) -> Placed:
    earlier = store.find(claim)
    if earlier is not None:
        return _repeat(claim, earlier)
    order = _price(claim.customer_id)
    try:
        with writing() as db:
            store.take_key(db, claim)
            store.begin(db, claim, order.id)
    except store.KeyTaken:
        return _repeat(claim, store.find(claim))
    return Placed(_buy(order, card_number))


def _repeat(claim: Claim, earlier: Stored | None) -> Placed:
    """The response of the first request with this key; waits for it a moment."""
    until = time.monotonic() + WAIT_SECONDS
    while (
        earlier
        and earlier.fingerprint == claim.fingerprint
        and earlier.status is None
        and time.monotonic() < until
    ):
        time.sleep(POLL_SECONDS)
        earlier = store.find(claim)
    if earlier and earlier.fingerprint != claim.fingerprint:
        raise KeyReused("This Idempotency-Key was used with another body; send a new key for a new checkout.")
    if earlier is None or earlier.status is None or earlier.body is None:
        raise CheckoutInProgress("The checkout with this key is still in progress; repeat it in a second.")
    document = json.loads(earlier.body)
    if earlier.status != 201:
        refusal = problem_from(document)
        refusal.headers = REPLAYED
        raise refusal
    return Placed(document, replayed=True)


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


@traced("reserve, confirm and commit")
def _buy(order: PricedOrder, card_number: str) -> dict[str, Any]:
    try:
        if not order.lines:
            raise CartEmpty("There is nothing in the cart; put something in first.")
        inventory.reserve(order.id, order.wanted)
        response = _confirm(order, card_number)
    except Problem as refusal:
        # Also when it is not known whether stock was reserved: a release is always safe.
        _refuse(order.id, refusal)
        raise
    _settle(order.id, Step.CONFIRMED)
    return response


def _confirm(order: PricedOrder, card_number: str) -> dict[str, Any]:
    with writing() as db:
        key = store.decide(db, order.id, Step.CONFIRMED)
        if key is None:
            raise Overtaken("The checkout took too long and was cancelled; try again.")
        if cart.take(db, order.customer_id) != order.in_cart:
            raise CartChanged("The cart was changed meanwhile; try again.")
        payments.capture(db, order.id, order.total_cents, card_number)
        _write_down(db, order)
        outbox.record(db, order.customer_id, order.id)
        response = show(db, order.customer_id, order.id)
        store.respond(db, key, 201, response)
    return response


def _refuse(order_id: str, refusal: Problem) -> None:
    """Decide against the order, unless it is decided. Its key keeps a final refusal; otherwise it is free again."""
    with writing() as db:
        key = store.decide(db, order_id, Step.REFUSED)
        if key is not None and isinstance(refusal, Unavailable):
            store.free_key(db, key)
        elif key is not None:
            store.respond(db, key, refusal.status, _final(refusal).to_dict())
    if key is not None:
        _settle(order_id, Step.REFUSED)


@traced("settle")
def _settle(order_id: str, step: Step) -> None:
    """Tell the inventory what was decided. If it does not answer, the recovery will."""
    try:
        (inventory.commit if step is Step.CONFIRMED else inventory.release)(order_id)
    except inventory.InventoryUnavailable as error:
        log.warning("the inventory does not know yet what became of order %s: %s", order_id, error)
    else:
        store.finish(order_id)


def _final(refusal: Problem) -> Problem:
    """The refusal that is stored: it says that it is final, and does not ask the client to repeat the request."""
    refusal.facts, refusal.headers = {**refusal.facts, "final": True}, {}
    return refusal


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
