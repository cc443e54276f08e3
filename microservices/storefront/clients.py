"""The other services, as the pages see them: the public API, called with the token of whoever looks at the page.

These have the names of the monolith's module doors, with a token where those take a customer's id: the storefront
has no rights of its own. Every call takes `timeout` in seconds, for parts that a page can do without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

from ..chassis.client import require_keys, upstream
from ..chassis.client_address import CLIENT_ADDRESS
from ..chassis.errors import InvalidRequest, NotAuthenticated, Problem, UpstreamError
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

PRODUCT = ("sku", "name", "category", "price_cents")
PRODUCTS = require_keys(each=PRODUCT)
ORDER = require_keys(
    "id", "status", "total_cents", "created_at", each=("sku", "name", "quantity", "line_total_cents")
)
"""What the pages rely on: an answer without it is the other service's failure, not one of the page's."""


def attempt(call: Callable[..., Any], *arguments: Any) -> Any:
    """What the call gives, or None when its service is slow or away: the page does without that part."""
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
        **options: Any,
    ) -> Any:
        """The service's answer, on behalf of the customer whose token it is."""
        headers = headers or {}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
            raises = (NotAuthenticated, *raises)
        return upstream(self.name).call(method, path, body, raises=raises, headers=headers, **options)


class Accounts(Client):
    """Customers and their sign-ins."""

    name = "accounts"

    def register(self, email: str, password: str, name: str, **options: Any) -> Any:
        """Add a customer; raises EmailTaken."""
        new = {"email": email, "password": password, "name": name}
        return self.call("POST", "/api/customers", new, raises=(EmailTaken, InvalidRequest), **options)

    def sign_in(self, email: str, password: str, address: str | None, **options: Any) -> Any:
        """A token for the customer, who is at this address; raises WrongCredentials or TooManyAttempts."""
        given = {"email": email, "password": password}
        refusals = (WrongCredentials, TooManyAttempts, InvalidRequest)
        headers = {CLIENT_ADDRESS: address or ""}
        read = require_keys("token", "expires_in")
        return self.call(
            "POST", "/api/sessions", given, raises=refusals, headers=headers, read=read, **options
        )


class Catalog(Client):
    """Products and categories."""

    name = "catalog"

    def categories(self, **options: Any) -> Any:
        """Every category."""
        read = require_keys(each=("slug", "name", "products"))
        return self.call("GET", "/api/categories", read=read, **options)

    def products(self, category: str, q: str, page: int, page_size: int, **options: Any) -> Any:
        """One page of products, bestsellers first."""
        wanted = urlencode({"category": category, "q": q, "page": page, "page_size": page_size})
        read = require_keys("page", "page_size", "total", each=PRODUCT)
        return self.call("GET", f"/api/products?{wanted}", read=read, **options)

    def batch(self, skus: Sequence[str], **options: Any) -> Any:
        """The products with these SKUs, in the order asked; for no SKUs nobody is asked."""
        if not skus:
            return {"items": []}
        return self.call("GET", f"/api/products?sku={','.join(skus)}", read=PRODUCTS, **options)


class Recommendations(Client):
    """What goes well with a product."""

    name = "recommendations"

    def suggest(self, sku: str, cart: Sequence[str], token: str | None, limit: int, **options: Any) -> Any:
        """SKUs that go well with `sku`, best first."""
        path = f"/api/products/{sku}/recommendations?cart={','.join(cart)}&limit={limit}"
        return self.call("GET", path, token=token, read=require_keys(each=("sku",)), **options)


class Cart(Client):
    """What the customer means to buy."""

    name = "cart"

    def read(self, token: str, **options: Any) -> Any:
        """The cart with today's names and prices."""
        read = require_keys("total_cents", each=("sku", "name", "quantity", "line_total_cents"))
        return self.call("GET", "/api/cart", token=token, read=read, **options)

    def put(self, token: str, sku: str, quantity: int, **options: Any) -> Any:
        """Set how many of a product are in the cart; raises UnknownProduct or CartFull."""
        wanted = {"quantity": quantity}
        refusals = (UnknownProduct, CartFull)
        return self.call("PUT", f"/api/cart/items/{sku}", wanted, token=token, raises=refusals, **options)

    def remove(self, token: str, sku: str, **options: Any) -> None:
        """Take a product out of the cart."""
        self.call("DELETE", f"/api/cart/items/{sku}", token=token, **options)


class Inventory(Client):
    """How many of each product there are."""

    name = "inventory"

    def availability(self, sku: str, **options: Any) -> Any:
        """How many of a product can be bought now."""
        return self.call("GET", f"/api/inventory/{sku}", read=require_keys("available"), **options)


class Orders(Client):
    """Checkout and the customer's history."""

    name = "orders"

    def checkout(self, token: str, key: str, card_number: str, **options: Any) -> Any:
        """Buy what is in the cart, once for each key; so a call that got lost can be repeated."""
        return self.call(
            "POST",
            "/api/orders",
            {"card_number": card_number},
            token=token,
            raises=(CartEmpty, OutOfStock, PaymentDeclined, PaymentTimedOut, KeyReused, CheckoutInProgress),
            headers={"Idempotency-Key": key},
            idempotent=True,
            read=require_keys("id"),
            **options,
        )

    def history(self, token: str, page: int, page_size: int, **options: Any) -> Any:
        """One page of the customer's orders, newest first."""
        path = f"/api/orders?page={page}&page_size={page_size}"
        read = require_keys("page", "page_size", "total", each=("id", "status", "total_cents", "created_at"))
        return self.call("GET", path, token=token, read=read, **options)

    def show(self, token: str, order_id: str, **options: Any) -> Any:
        """One order; raises UnknownOrder."""
        path = f"/api/orders/{order_id}"
        return self.call("GET", path, token=token, raises=(UnknownOrder,), read=ORDER, **options)


accounts = Accounts()
catalog = Catalog()
recommendations = Recommendations()
cart = Cart()
inventory = Inventory()
orders = Orders()
