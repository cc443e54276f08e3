"""Clients of the other services for the pages: the public API, called with the visitor's token.

Their methods have the names of the monolith's module functions, with a token where those take a customer's id: the
storefront has no rights of its own. Every call takes `timeout` in seconds, for parts that a page can do without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from ..chassis.client import Read, as_it_is, require_keys, upstream
from ..chassis.client_address import CLIENT_ADDRESS
from ..chassis.errors import (
    BadUpstream,
    InvalidRequest,
    NotAuthenticated,
    Problem,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from . import answers
from .problems import (
    CartEmpty,
    CartFull,
    CheckoutInProgress,
    EmailTaken,
    KeyReused,
    OutOfStock,
    PaymentDeclined,
    PaymentTimedOut,
    TooManyAttempts,
    UnknownOrder,
    UnknownProduct,
    WrongCredentials,
)

CALLS = ("accounts", "catalog", "recommendations", "cart", "inventory", "orders")

PATIENCE = 0.5
"""Seconds that a page waits for a part it can do without: four of these fit into the 2 s of a request."""

FAILURES = (UpstreamUnavailable, UpstreamTimeout, BadUpstream)

T = TypeVar("T")
TOKEN = require_keys(answers.Token)
CATEGORIES = require_keys(answers.Categories)
PRODUCTS = require_keys(answers.Products)
RECOMMENDATIONS = require_keys(answers.Recommendations)
CART = require_keys(answers.Cart)
AVAILABILITY = require_keys(answers.Availability)
PLACED_ORDER = require_keys(answers.PlacedOrder)
ORDER = require_keys(answers.Order)
ORDERS = require_keys(answers.Orders)


def attempt(call: Callable[..., T], *arguments: Any) -> T | None:
    """The result of the call, or None when its service is slow or down: the page leaves that part out."""
    try:
        return call(*arguments, timeout=PATIENCE)
    except UpstreamError:
        return None


class Client:
    """One other service."""

    name: ClassVar[str]

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        token: str | None = None,
        raises: Sequence[type[Problem]] = (),
        headers: dict[str, str] | None = None,
        read: Read[T] = as_it_is,
        **options: Any,
    ) -> T:
        """Call the service with the customer's token and return its response."""
        headers = headers or {}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
            raises = (NotAuthenticated, *raises)
        return upstream(self.name).call(
            method, path, body, raises=raises, headers=headers, read=read, **options
        )


class Accounts(Client):
    """Customers and their sign-ins."""

    name = "accounts"

    def register(self, email: str, password: str, name: str, **options: Any) -> None:
        """Add a customer; raises EmailTaken."""
        new = {"email": email, "password": password, "name": name}
        self.call("POST", "/api/customers", new, raises=(EmailTaken, InvalidRequest), **options)

    def sign_in(self, email: str, password: str, address: str | None, **options: Any) -> answers.Token:
        """A token for the customer, who is at this address; raises WrongCredentials or TooManyAttempts."""
        given = {"email": email, "password": password}
        refusals = (WrongCredentials, TooManyAttempts, InvalidRequest)
        headers = {CLIENT_ADDRESS: address or ""}
        return self.call(
            "POST", "/api/sessions", given, raises=refusals, headers=headers, read=TOKEN, **options
        )


class Catalog(Client):
    """Products and categories."""

    name = "catalog"

    def categories(self, **options: Any) -> answers.Categories:
        """Every category."""
        return self.call("GET", "/api/categories", read=CATEGORIES, **options)

    def products(self, category: str, q: str, page: int, page_size: int, **options: Any) -> answers.Products:
        """One page of products, bestsellers first."""
        wanted = {"category": category, "q": q, "page": page, "page_size": page_size}
        return self.call("GET", "/api/products", params=wanted, read=PRODUCTS, **options)

    def batch(self, skus: Sequence[str], **options: Any) -> answers.Listed[answers.Product]:
        """The products with these SKUs, in the order asked; without SKUs no call is made."""
        if not skus:
            return {"items": []}
        return self.call("GET", "/api/products", params={"sku": ",".join(skus)}, read=PRODUCTS, **options)


class Recommendations(Client):
    """What goes well with a product."""

    name = "recommendations"

    def suggest(
        self, sku: str, cart: Sequence[str], token: str | None, limit: int, **options: Any
    ) -> answers.Recommendations:
        """SKUs that go well with `sku`, best first."""
        path, params = f"/api/products/{sku}/recommendations", {"cart": ",".join(cart), "limit": limit}
        return self.call("GET", path, params=params, token=token, read=RECOMMENDATIONS, **options)


class Cart(Client):
    """What the customer wants to buy."""

    name = "cart"

    def read(self, token: str, **options: Any) -> answers.Cart:
        """The cart with today's names and prices."""
        return self.call("GET", "/api/cart", token=token, read=CART, **options)

    def put(self, token: str, sku: str, quantity: int, **options: Any) -> None:
        """Set how many of a product are in the cart; raises UnknownProduct or CartFull."""
        wanted = {"quantity": quantity}
        refusals = (UnknownProduct, CartFull)
        self.call("PUT", f"/api/cart/items/{sku}", wanted, token=token, raises=refusals, **options)

    def remove(self, token: str, sku: str, **options: Any) -> None:
        """Take a product out of the cart."""
        self.call("DELETE", f"/api/cart/items/{sku}", token=token, **options)


class Inventory(Client):
    """How many of each product there are."""

    name = "inventory"

    def availability(self, sku: str, **options: Any) -> answers.Availability:
        """How many of a product can be bought now."""
        return self.call("GET", f"/api/inventory/{sku}", read=AVAILABILITY, **options)


class Orders(Client):
    """Checkout and the customer's history."""

    name = "orders"

    def checkout(self, token: str, key: str, card_number: str, **options: Any) -> answers.PlacedOrder:
        """Buy what is in the cart, once for each key; so a lost call can be repeated."""
        return self.call(
            "POST",
            "/api/orders",
            {"card_number": card_number},
            token=token,
            raises=(
                CartEmpty,
                OutOfStock,
                PaymentDeclined,
                PaymentTimedOut,
                KeyReused,
                CheckoutInProgress,
                *FAILURES,  # with their facts, which say whether the failure is final
            ),
            headers={"Idempotency-Key": key},
            idempotent=True,
            read=PLACED_ORDER,
            **options,
        )

    def history(self, token: str, page: int, page_size: int, **options: Any) -> answers.Orders:
        """One page of the customer's orders, newest first."""
        wanted = {"page": page, "page_size": page_size}
        return self.call("GET", "/api/orders", params=wanted, token=token, read=ORDERS, **options)

    def show(self, token: str, order_id: str, **options: Any) -> answers.Order:
        """One order; raises UnknownOrder."""
        path = f"/api/orders/{order_id}"
        return self.call("GET", path, token=token, raises=(UnknownOrder,), read=ORDER, **options)


accounts = Accounts()
catalog = Catalog()
recommendations = Recommendations()
cart = Cart()
inventory = Inventory()
orders = Orders()
