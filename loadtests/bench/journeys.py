"""What the bench requests: each endpoint alone, then a mixed journey through the shop. Over HTTP only."""

import itertools
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from loadtests.bench.client import Connection

PASSWORD = "correct-horse-battery"  # noqa: S105 - of every seeded account, printed in the docs
CARD = "4242424242424242"
FIRST_ACCOUNT = 500


@dataclass
class Shopper:
    """A signed-in customer, who takes one product after another so that none is sold out."""

    skus: tuple[str, ...]
    token: str
    _turn: Iterator[int] = field(default_factory=itertools.count)

    def next_sku(self) -> str:
        """The next product: another one each time, until all were taken."""
        return self.skus[next(self._turn) * 7 % len(self.skus)]

    @property
    def auth_header(self) -> dict[str, str]:
        """The header of a request with a session."""
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True)
class Journey:
    """One or more requests that the bench repeats. `single_owner`: in the split, one service alone answers it."""

    name: str
    run: Callable[[Connection, Shopper], None]
    single_owner: bool = False


def sign_in(url: str, number: int) -> str:
    """A token for one of the seeded accounts; `number` counts from 0."""
    form = {"email": f"customer{FIRST_ACCOUNT + number:05}@example.com", "password": PASSWORD}
    with Connection(url) as connection:
        return str(json.loads(connection.request("POST", "/api/sessions", form))["token"])


def _hello(connection: Connection, _shopper: Shopper) -> None:
    connection.request("GET", "/api/hello")


def _product(connection: Connection, shopper: Shopper) -> None:
    connection.request("GET", f"/api/products/{shopper.next_sku()}")


def _page_of_products(connection: Connection, _shopper: Shopper) -> None:
    connection.request("GET", "/api/products?page=3")


def _search(connection: Connection, _shopper: Shopper) -> None:
    connection.request("GET", "/api/products?q=tea")


def _stock(connection: Connection, shopper: Shopper) -> None:
    connection.request("GET", f"/api/inventory/{shopper.next_sku()}")


def _profile(connection: Connection, shopper: Shopper) -> None:
    connection.request("GET", "/api/customers/me", headers=shopper.auth_header)


def _history(connection: Connection, shopper: Shopper) -> None:
    connection.request("GET", "/api/orders?page_size=5", headers=shopper.auth_header)


def _recommendations(connection: Connection, shopper: Shopper) -> None:
    connection.request("GET", f"/api/products/{shopper.next_sku()}/recommendations")


def _cart(connection: Connection, shopper: Shopper) -> None:
    connection.request("GET", "/api/cart", headers=shopper.auth_header)


def _put(connection: Connection, shopper: Shopper) -> None:
    path = f"/api/cart/items/{shopper.skus[0]}"
    connection.request("PUT", path, {"quantity": 1}, headers=shopper.auth_header)


def _front_page(connection: Connection, _shopper: Shopper) -> None:
    connection.request("GET", "/")


def _product_page(connection: Connection, shopper: Shopper) -> None:
    connection.request("GET", f"/products/{shopper.next_sku()}")


def _buy(connection: Connection, shopper: Shopper) -> None:
    path = f"/api/cart/items/{shopper.next_sku()}"
    connection.request("PUT", path, {"quantity": 1}, headers=shopper.auth_header)
    key = {"Idempotency-Key": uuid.uuid4().hex}
    connection.request("POST", "/api/orders", {"card_number": CARD}, headers={**shopper.auth_header, **key})


def _mixed(connection: Connection, shopper: Shopper) -> None:
    for step in (_front_page, _search, _product_page, _product, _stock, _recommendations, _buy, _history):
        step(connection, shopper)


HELLO = Journey("hello", _hello)
PUT = Journey("PUT /api/cart/items/{sku}", _put)
PRODUCT = Journey("GET /api/products/{sku}", _product, single_owner=True)
BUY = Journey("PUT cart item + POST /api/orders", _buy)
MIXED = Journey("mixed journey (9 requests)", _mixed)
ENDPOINTS = (
    PRODUCT,
    Journey("GET /api/products?page=3", _page_of_products, single_owner=True),
    Journey("GET /api/products?q=tea", _search, single_owner=True),
    Journey("GET /api/inventory/{sku}", _stock, single_owner=True),
    Journey("GET /api/customers/me", _profile, single_owner=True),
    Journey("GET /api/orders", _history, single_owner=True),
    Journey("GET /api/products/{sku}/recommendations", _recommendations, single_owner=True),
    Journey("GET /api/cart", _cart),
    PUT,
    BUY,
    Journey("GET /", _front_page),
    Journey("GET /products/{sku}", _product_page),
)
