"""Checkout: a saga over the cart, the catalog, the inventory and the payments, each with a database of its own.

No transaction spans them. Each step is idempotent by the order's id and has its undo. The state of a checkout is
stored before the next call is sent, so that any replica can finish it after a crash:

    price            nothing to undo
    reserve          release
    capture          refund
    confirm          the point of no return: after it, the stock is always sold and the cart emptied

The response is stored under the customer's idempotency key, refusals too, so that a repeated request gets the same
response. A refusal is raised, the first time and every other time. It is final, and says so.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError

from ..chassis import context, spans
from ..chassis.database import reading
from ..chassis.errors import Problem, Unavailable, UpstreamError, problem_from
from ..chassis.tracing import traced
from . import cards, clients, store
from .models import STATUS, Status, Step
from .service import show
from .store import Claim, PricedOrder, StoredCheckout

log = logging.getLogger(__name__)

POLL_SECONDS = 0.05
KEEP_SECONDS = 0.3
"""The part of the request's time that is kept for the response that a checkout is still in progress."""


REPLAYED = {"Idempotency-Replayed": "true"}
"""The header of a repeated response."""
CANCELLED = "Nothing was ordered and nothing was charged; to try again, send a new Idempotency-Key."


class CartEmpty(Problem):
    status, slug, title = 409, "cart-empty", "The cart is empty"


class KeyReused(Problem):
    status, slug, title = 422, "idempotency-key-reused", "This key belongs to another request"


class CheckoutInProgress(Problem):
    status, slug, title = 409, "checkout-in-progress", "This checkout is still running"
    headers: Mapping[str, str] = {"Retry-After": "1"}


@dataclass(frozen=True, slots=True)
class Placed:
    """The result of a checkout, as the API shows it."""

    order: dict[str, Any]
    replayed: bool = False
    """Whether it was placed by an earlier request with the same key."""


def checkout(customer_id: str, key: str, card_number: str) -> Placed:
    """Buy what is in the cart, once for each key; raises the problem of a refusal, the same one for a repeated request.

    Two are not stored: KeyReused (the key was used with another body) and CheckoutInProgress (there is no result yet).
    """
    claim = Claim(customer_id, key, cards.fingerprint(card_number))
    earlier = store.find(claim)
    if earlier is not None:
        return _repeat(claim, earlier)
    try:
        order = _price(claim)
    except (IntegrityError, store.OvertakenError):
        # A concurrent request with the same key was faster, or another checkout of this customer was.
        return _repeat(claim, store.find(claim))
    if order.lines and _buy(order, card_number):
        return Placed(order.to_dict(Status.CONFIRMED))
    return _answer(store.find(claim))


def recover() -> bool:
    """Finish a checkout that was interrupted; returns whether there was one."""
    found = store.take_over()
    if found is None:
        return False
    order, step = found
    log.warning("taking up order %s, which was left %s", order.id, step)
    with spans.linked("take up an interrupted checkout", [store.traceparent_of(order)]):
        _take_up(order, step)
    return True


def _take_up(order: PricedOrder, step: Step) -> None:
    """If payment is uncertain, cancel.

    Both services record the cancellation, so a capture or a reservation that arrives late is refused.
    """
    if step is Step.PAID:
        _settle(order)
    elif step is Step.UNDOING or store.refuse(order.id, _interrupted(), Step.UNDOING):
        _undo(order)


@traced("price the cart")
def _price(claim: Claim) -> PricedOrder:
    newest = store.newest_number(claim.customer_id)
    wanted = clients.cart_lines(claim.customer_id)
    products = clients.products(sorted(wanted)) if wanted else []
    order = store.priced_order(claim.customer_id, wanted, products)
    if order.lines:
        store.save(order, claim, newest, Step.PRICED)
    else:
        empty = _final(CartEmpty("There is nothing in the cart; put something in first."))
        store.save(order, claim, newest, Step.UNDONE, empty)
    return order


@traced("reserve, capture and confirm")
def _buy(order: PricedOrder, card_number: str) -> bool:
    """Whether this request confirmed the order; if not, its outcome is in the database."""
    confirmed = False
    try:
        clients.reserve(order.id, order.wanted)
        clients.capture(order.id, order.total_cents, card_number)
    except Problem as refusal:
        # Also when the outcome of a call is unknown: cancelling is always safe, see _take_up().
        # Also after too little stock: a second copy of the request to reserve may still arrive.
        if store.refuse(order.id, _final(refusal), Step.UNDOING):
            _undo(order)
    else:
        confirmed = store.confirm(order)
        if confirmed:
            _settle(order)
    return confirmed


@traced("settle")
def _settle(order: PricedOrder) -> None:
    try:
        clients.commit_reservation(order.id)
        clients.empty_cart(order.customer_id, order.wanted)
    except UpstreamError as error:
        log.warning("order %s is confirmed, but not settled yet: %s", order.id, error)
    else:
        store.finish(order.id, Step.PAID, Step.SETTLED)


@traced("undo")
def _undo(order: PricedOrder) -> None:
    # Independent of each other: the stock must become available again even while payments is down.
    undone = [_is_undone(order, clients.refund), _is_undone(order, clients.release_reservation)]
    if all(undone):
        store.finish(order.id, Step.UNDOING, Step.UNDONE)


def _is_undone(order: PricedOrder, undo: Callable[[str], None]) -> bool:
    try:
        undo(order.id)
    except UpstreamError as error:
        log.warning("order %s is refused, but not undone yet: %s", order.id, error)
        return False
    return True


def _repeat(claim: Claim, earlier: StoredCheckout | None) -> Placed:
    """The result of the first request with this key; waits for it as long as this request may take.

    Without an earlier one, another checkout of this customer is in progress: the cart is not sold twice.
    """
    if earlier is None:
        raise CheckoutInProgress("Another checkout of yours is still in progress; try again in a second.")
    if earlier.fingerprint != claim.fingerprint:
        raise KeyReused("This Idempotency-Key was used with another body; send a new key for a new checkout.")
    here = context.current()
    until = (here.deadline if here else time.monotonic()) - KEEP_SECONDS
    found: StoredCheckout | None = earlier
    while found is not None and found.step == Step.PRICED and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
        found = store.find(claim)
    return _answer(found, replayed=True)


def _answer(order: StoredCheckout | None, *, replayed: bool = False) -> Placed:
    assert order is not None
    status = STATUS[Step(order.step)]
    if status is Status.PENDING:
        raise CheckoutInProgress("The checkout with this key is still in progress; repeat it in a second.")
    if status is Status.REJECTED:
        assert order.problem is not None
        refusal = problem_from(order.problem)
        refusal.headers = REPLAYED if replayed else {}
        raise refusal
    with reading() as db:
        return Placed(show(db, order.customer_id, order.id), replayed)


def _final(refusal: Problem) -> Problem:
    """The refusal that is stored: it says that it is final, and does not ask the client to repeat the request."""
    refusal.facts, refusal.headers = {**refusal.facts, "final": True}, {}
    if isinstance(refusal, UpstreamError):
        refusal.detail += f" {CANCELLED}"
    return refusal


def _interrupted() -> Problem:
    return _final(Unavailable(f"The checkout was interrupted. {CANCELLED}"))
