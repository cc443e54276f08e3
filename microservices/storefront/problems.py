"""The problems of the other services that the pages handle; the client makes them from the responses."""

from __future__ import annotations

from collections.abc import Mapping

from ..chassis.errors import Problem


class EmailTaken(Problem):
    status, slug, title = 409, "email-taken", "This email is taken"


class WrongCredentials(Problem):
    status, slug, title = 401, "wrong-credentials", "Email or password is wrong"


class TooManyAttempts(Problem):
    status, slug, title = 429, "too-many-attempts", "Too many wrong passwords"
    headers: Mapping[str, str] = {"Retry-After": "900"}


class UnknownProduct(Problem):
    status, slug, title = 404, "unknown-product", "There is no such product"


class CartFull(Problem):
    status, slug, title = 409, "cart-full", "The cart is full"


class UnknownOrder(Problem):
    status, slug, title = 404, "unknown-order", "There is no such order"


class CartEmpty(Problem):
    status, slug, title = 409, "cart-empty", "The cart is empty"


class OutOfStock(Problem):
    status, slug, title = 409, "out-of-stock", "Not enough in stock"


class PaymentDeclined(Problem):
    status, slug, title = 402, "payment-declined", "The card was declined"


class PaymentTimedOut(Problem):
    status, slug, title = 504, "payment-timed-out", "The payment provider did not answer"


class KeyReused(Problem):
    status, slug, title = 422, "idempotency-key-reused", "This key belongs to another request"


class CheckoutInProgress(Problem):
    status, slug, title = 409, "checkout-in-progress", "This checkout is still running"
