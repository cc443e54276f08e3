"""The clients of the API in the tests: an anonymous visitor, and a customer with a token.

Every response is first checked against the contract, so no test can overlook an undocumented one.
"""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import HTTPAdapter

from loadtests.contract.acceptance.contract import Contract
from loadtests.contract.client import PASSWORD, Client

APPROVED, DECLINED, TIMES_OUT = "4242424242424242", "4000000000000002", "4000000000000119"


def new_key() -> str:
    """A new idempotency key."""
    return uuid.uuid4().hex


class SourceAddressAdapter(HTTPAdapter):
    """Connects from the given address of this machine, so that the shop sees another client address."""

    def __init__(self, source: str) -> None:
        self._source = source
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, source_address=(self._source, 0), **options)


class Visitor(Client):
    """A client of the API, with or without a customer's token. The contract must allow every response."""

    def __init__(self, base_url: str, contract: Contract, *, source: str | None = None) -> None:
        super().__init__(lambda: base_url)
        self.contract = contract
        if source:
            self._session.mount("http://", SourceAddressAdapter(source))

    def answered(self, response: requests.Response) -> None:
        asked = response.request
        path = unquote(urlsplit(str(asked.url)).path)
        body = _body(response)
        self.contract.check(str(asked.method), path, response.status_code, response.headers, body)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.call("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> requests.Response:
        return self.call("POST", path, json=json, **options)

    def put(self, path: str, json: Any = None, **options: Any) -> requests.Response:
        return self.call("PUT", path, json=json, **options)

    def delete(self, path: str, **options: Any) -> requests.Response:
        return self.call("DELETE", path, **options)

    def available(self, sku: str) -> int:
        """The stock of the product."""
        return int(self.get(f"/api/inventory/{sku}").json()["available"])


class Customer(Visitor):
    """A signed-in client with an account: a new one, unless an email is given."""

    def __init__(
        self, base_url: str, contract: Contract, email: str | None = None, password: str = PASSWORD
    ) -> None:
        super().__init__(base_url, contract)
        if email is None:
            self.register()
        else:
            self.sign_in(email, password)

    def put_in_cart(self, sku: str, quantity: int = 1) -> requests.Response:
        return self.put(f"/api/cart/items/{sku}", {"quantity": quantity})

    def cart(self) -> dict[str, int]:
        """SKU and quantity of each line."""
        return {line["sku"]: line["quantity"] for line in self.get("/api/cart").json()["items"]}

    def checkout(self, card: str = APPROVED, key: str | None = None) -> requests.Response:
        headers = {"Idempotency-Key": key or new_key()}
        return self.post("/api/orders", {"card_number": card}, headers=headers)

    def orders(self) -> list[dict[str, Any]]:
        """The first hundred of the customer's orders, newest first."""
        return list(self.get("/api/orders?page_size=100").json()["items"])


def _body(response: requests.Response) -> Any:
    if not response.content:
        return None
    return response.json() if "json" in response.headers.get("Content-Type", "") else response.text
