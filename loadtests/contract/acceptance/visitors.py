"""The clients of the API in the tests: an anonymous visitor, and a customer with a token.

Every response is first checked against the contract, so no test can overlook an undocumented one.
"""

from __future__ import annotations

import uuid
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import HTTPAdapter

from loadtests.contract.acceptance.contract import Contract

TIMEOUT_SECONDS = 30
PASSWORD = "correct-horse-battery"
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


class Visitor:
    """A client of the API, anonymous or with the token of a customer."""

    def __init__(
        self, base_url: str, contract: Contract, token: str | None = None, *, source: str | None = None
    ) -> None:
        self.base_url = base_url
        self.contract = contract
        self.token = token
        self._session = requests.Session()
        self._session.trust_env = False  # never through a proxy of this machine
        if source:
            self._session.mount("http://", SourceAddressAdapter(source))

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send one request and return the response. ContractBroken if the contract does not allow it."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers.update(options.pop("headers", {}))
        response = self._session.request(
            method,
            self.base_url + path,
            headers=headers,
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
            **options,
        )
        sent_path = unquote(urlsplit(cast("str", response.request.url)).path)
        self.contract.check(method, sent_path, response.status_code, response.headers, _body(response))
        return response

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

    def close(self) -> None:
        self._session.close()


class Customer(Visitor):
    """A signed-in client with an account."""

    def __init__(self, base_url: str, contract: Contract, email: str, password: str = PASSWORD) -> None:
        super().__init__(base_url, contract)
        self.email, self.password = email, password
        answer = self.post("/api/sessions", {"email": email, "password": password})
        assert answer.status_code == 201, answer.text
        self.token = answer.json()["token"]
        self.id = str(self.get("/api/customers/me").json()["id"])

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


def register(base_url: str, contract: Contract) -> Customer:
    """A new customer, signed in."""
    email = f"guest-{uuid.uuid4().hex}@example.com"
    visitor = Visitor(base_url, contract)
    try:
        answer = visitor.post("/api/customers", {"email": email, "password": PASSWORD, "name": "A Guest"})
        assert answer.status_code == 201, answer.text
    finally:
        visitor.close()
    return Customer(base_url, contract, email)


def _body(response: requests.Response) -> Any:
    if not response.content:
        return None
    return response.json() if "json" in response.headers.get("Content-Type", "") else response.text
