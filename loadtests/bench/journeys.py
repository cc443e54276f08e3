"""What the bench asks: every endpoint alone, then a mixed journey through the shop. Over HTTP only."""

import itertools
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from loadtests.bench.client import Connection

PASSWORD = "correct-horse-battery"  # noqa: S105 - every seeded account's, printed in the docs
CARD = "4242424242424242"
FIRST_ACCOUNT = 500


@dataclass
class Shopper:
    """Who asks: a signed-in customer who takes one product after the other, so that none runs out."""

    skus: tuple[str, ...]
    token: str
    _turn: Iterator[int] = field(default_factory=itertools.count)

    def next_sku(self) -> str:
        """Another product each time."""
        return self.skus[next(self._turn) * 7 % len(self.skus)]

    @property
    def signed(self) -> dict[str, str]:
        """The header of a signed-in request."""
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True)
class Journey:
    """Something to do again and again. `single_owner`: the split answers it from one service alone."""

    name: str
    go: Callable[[Connection, Shopper], None]
    single_owner: bool = False


def sign_in(url: str, number: int) -> str:
    """A token for one of the seeded accounts."""
    form = {"email": f"customer{FIRST_ACCOUNT + number:05}@example.com", "password": PASSWORD}
    with Connection(url) as connection:
        return str(json.loads(connection.ask("POST", "/api/sessions", form))["token"])


def _product(connection: Connection, shopper: Shopper) -> None:
    connection.ask("GET", f"/api/products/{shopper.next_sku()}")


def _page_of_products(connection: Connection, _shopper: Shopper) -> None:
    connection.ask("GET", "/api/products?page=3")


def _search(connection: Connection, _shopper: Shopper) -> None:
    connection.ask("GET", "/api/products?q=tea")


def _stock(connection: Connection, shopper: Shopper) -> None:
    connection.ask("GET", f"/api/inventory/{shopper.next_sku()}")


def _profile(connection: Connection, shopper: Shopper) -> None:
    connection.ask("GET", "/api/customers/me", headers=shopper.signed)


def _history(connection: Connection, shopper: Shopper) -> None:
    connection.ask("GET", "/api/orders?page_size=5", headers=shopper.signed)


def _recommendations(connection: Connection, shopper: Shopper) -> None:
    connection.ask("GET", f"/api/products/{shopper.next_sku()}/recommendations")


def _cart(connection: Connection, shopper: Shopper) -> None:
    connection.ask("GET", "/api/cart", headers=shopper.signed)


def _put(connection: Connection, shopper: Shopper) -> None:
    path = f"/api/cart/items/{shopper.skus[0]}"
    connection.ask("PUT", path, {"quantity": 1}, headers=shopper.signed)


def _front_page(connection: Connection, _shopper: Shopper) -> None:
    connection.ask("GET", "/")


def _product_page(connection: Connection, shopper: Shopper) -> None:
    connection.ask("GET", f"/products/{shopper.next_sku()}")


def _buy(connection: Connection, shopper: Shopper) -> None:
    path = f"/api/cart/items/{shopper.next_sku()}"
    connection.ask("PUT", path, {"quantity": 1}, headers=shopper.signed)
    key = {"Idempotency-Key": uuid.uuid4().hex}
    connection.ask("POST", "/api/orders", {"card_number": CARD}, headers={**shopper.signed, **key})


def _mixed(connection: Connection, shopper: Shopper) -> None:
    for step in (_front_page, _search, _product_page, _product, _stock, _recommendations, _buy, _history):
        step(connection, shopper)


PRODUCT = Journey("GET /api/products/{sku}", _product, single_owner=True)
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
    Journey("PUT /api/cart/items/{sku}", _put),
    Journey("PUT cart item + POST /api/orders", _buy),
    Journey("GET /", _front_page),
    Journey("GET /products/{sku}", _product_page),
)
