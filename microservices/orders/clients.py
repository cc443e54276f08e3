"""Clients of the other services for checkout. Every call with an effect is idempotent by the order's id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..chassis.client import Read, require_keys, upstream
from ..chassis.errors import Problem
from .answers import CartLines, Effect, Product, Products

CALLS = ("cart", "catalog", "inventory", "payments")

PRODUCTS = require_keys(Products)
CART_LINES = require_keys(CartLines)
EFFECT = require_keys(Effect)


class OutOfStock(Problem):
    status, slug, title = 409, "out-of-stock", "Not enough in stock"


class PaymentDeclined(Problem):
    status, slug, title = 402, "payment-declined", "The card was declined"


class PaymentTimedOut(Problem):
    status, slug, title = 504, "payment-timed-out", "The payment provider did not answer"


def cart_lines(customer_id: str) -> dict[str, int]:
    """The quantities in the customer's cart, by SKU."""
    return upstream("cart").get(
        f"/internal/carts/{customer_id}",
        read=lambda answer: {line["sku"]: line["quantity"] for line in CART_LINES(answer)["items"]},
    )


def products(skus: Iterable[str]) -> list[Product]:
    """The products with these SKUs, at today's prices."""
    return upstream("catalog").get("/api/products", {"sku": ",".join(skus)}, read=PRODUCTS)["items"]


def reserve(order_id: str, wanted: Mapping[str, int]) -> None:
    """Reserve stock for the order; raises OutOfStock, and then nothing is reserved."""
    body = {"order_id": order_id, "items": _items(wanted)}
    done = _done(order_id, "reserved", "committed")
    upstream("inventory").post(
        "/internal/reservations", body, idempotent=True, raises=[OutOfStock], read=done
    )


def commit_reservation(order_id: str) -> None:
    """Sell the reserved stock."""
    done = _done(order_id, "committed")
    upstream("inventory").post(f"/internal/reservations/{order_id}/commit", idempotent=True, read=done)


def release_reservation(order_id: str) -> None:
    """Release the reserved stock; a reservation that arrives later is refused."""
    done = _done(order_id, "released")
    upstream("inventory").post(f"/internal/reservations/{order_id}/release", idempotent=True, read=done)


def capture(order_id: str, amount_cents: int, card_number: str) -> None:
    """Take the money; raises PaymentDeclined or PaymentTimedOut, and then no money was taken."""
    body = {"order_id": order_id, "amount_cents": amount_cents, "card_number": card_number}
    raises, done = [PaymentDeclined, PaymentTimedOut], _done(order_id, "captured")
    upstream("payments").post("/internal/payments", body, idempotent=True, raises=raises, read=done)


def refund(order_id: str) -> None:
    """Give the money back, if any was taken; a capture that arrives later is refused."""
    done = _done(order_id, "refunded")
    upstream("payments").post(f"/internal/payments/{order_id}/refund", idempotent=True, read=done)


def empty_cart(customer_id: str, ordered: Mapping[str, int]) -> None:
    """Take the ordered lines out of the cart."""
    body = {"items": _items(ordered)}
    upstream("cart").post(f"/internal/carts/{customer_id}/checked-out", body, idempotent=True)


def _done(order_id: str, *statuses: str) -> Read[Effect]:
    """A `read` that accepts a 200 only if it names this order and one of these statuses."""

    def read(answer: Any) -> Effect:
        effect = EFFECT(answer)
        if effect["order_id"] != order_id or effect["status"] not in statuses:
            raise ValueError(answer)
        return effect

    return read


def _items(quantities: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"sku": sku, "quantity": quantity} for sku, quantity in sorted(quantities.items())]
