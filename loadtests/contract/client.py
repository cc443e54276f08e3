"""A client of a shop's API: a stranger, and after `sign_in` or `register` a customer.

The acceptance suite holds each answer against the contract, the checks of the exercises keep each request as a curl
line. What both need is here, without a word of either.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter

PASSWORD = "correct-horse-battery"  # noqa: S105 -- published on purpose: the demo accounts' password
TIMEOUT_SECONDS = 30.0

ADAPTERS: dict[str, BaseAdapter] = {}
"""By the beginning of an address, what sends the requests. Empty, unless tests call a shop in their own process."""


def new_session() -> requests.Session:
    """A session on the way to a shop."""
    session = requests.Session()
    session.trust_env = False  # a proxy of the machine has no business on the way to the shop
    for beginning, adapter in ADAPTERS.items():
        session.mount(beginning, adapter)
    return session


def session_cookie(url: str) -> str:
    """The name of the session cookie of the shop at `url`: its port is in the name, because cookies ignore ports."""
    port = urlsplit(url).port
    return f"shop_session_{port}" if port else "shop_session"


class Client:
    """Asks the shop at `where()`, which may move; cookies are kept, redirects are not followed."""

    def __init__(self, where: Callable[[], str]) -> None:
        self.email = self.password = self.id = self.token = ""
        self._where = where
        self._session = new_session()

    def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT_SECONDS,
        **options: Any,
    ) -> requests.Response:
        """Send one request, with the customer's token; `options` are those of `requests`."""
        response = self._session.request(
            method,
            self._where() + path,
            headers=self.signed(headers),
            timeout=timeout,
            allow_redirects=False,
            **options,
        )
        self.answered(response)
        return response

    def answered(self, response: requests.Response) -> None:
        """Gets every answer before it is returned, to be overridden."""

    def signed(self, headers: Mapping[str, str] | None = None) -> dict[str, str]:
        """The headers that are sent: the customer's token, and these, which come first."""
        return ({"Authorization": f"Bearer {self.token}"} if self.token else {}) | dict(headers or {})

    def sign_in(self, email: str, password: str = PASSWORD) -> None:
        """Send a customer's token from now on."""
        self.email, self.password = email, password
        self.token = self.told("token", 201, "POST", "/api/sessions", {"email": email, "password": password})
        self.id = self.told("id", 200, "GET", "/api/customers/me")

    def register(self) -> None:
        """Become a customer whom nobody has seen before."""
        email = f"guest-{uuid.uuid4().hex}@example.com"
        new = {"email": email, "password": PASSWORD, "name": "A Guest"}
        self.told("id", 201, "POST", "/api/customers", new)
        self.sign_in(email)

    def told(self, field: str, status: int, method: str, path: str, body: Any = None) -> str:
        """Send one request that must succeed, and take this field of its answer."""
        answer = self.call(method, path, json=body)
        assert answer.status_code == status, answer.text
        return str(answer.json()[field])

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()
