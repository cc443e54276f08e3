"""A customer of the shop's API."""

from __future__ import annotations

import uuid
from typing import Any

import requests

PASSWORD = "correct-horse-battery"
APPROVED, DECLINED = "4242424242424242", "4000000000000002"
SECONDS = 30


class Customer:
    """A signed-in customer who uses the shop's API."""

    def __init__(self, url: str, email: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False  # never through a proxy of this machine
        given = {"email": email, "password": PASSWORD}
        token = self.ask("POST", "/api/sessions", json=given).json()["token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send one request; returns the answer with any status."""
        return self._session.request(method, self._url + path, timeout=SECONDS, **options)

    def put_in_cart(self, sku: str, quantity: int = 1) -> requests.Response:
        """Set how many of a product are in the cart."""
        return self.ask("PUT", f"/api/cart/items/{sku}", json={"quantity": quantity})

    def cart(self) -> list[dict[str, Any]]:
        """The lines of the cart: each with its `sku` and `quantity`."""
        return list(self.ask("GET", "/api/cart").json()["items"])

    def check_out(
        self, card: str = APPROVED, key: str | None = None, **more_fields: Any
    ) -> requests.Response:
        """Buy what is in the cart. With a `key` that was used before, it is the same checkout, sent again."""
        return self.ask(
            "POST",
            "/api/orders",
            json={"card_number": card, **more_fields},
            headers={"Idempotency-Key": key or new_key()},
        )

    def available(self, sku: str) -> int:
        """How many of a product can be bought."""
        return int(self.ask("GET", f"/api/inventory/{sku}").json()["available"])

    def orders(self) -> list[dict[str, Any]]:
        """The customer's orders, newest first."""
        return list(self.ask("GET", "/api/orders").json()["items"])

    def close(self) -> None:
        self._session.close()


def new_key() -> str:
    """An idempotency key that was never used."""
    return uuid.uuid4().hex
