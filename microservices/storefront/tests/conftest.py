"""The storefront in this process; stand-ins answer for the six services that it calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from werkzeug.test import TestResponse

from microservices.storefront.app import create_app
from microservices.tests.one_service import ServiceUnderTest, as_customer, publish_keys

SERVICES = ("accounts", "catalog", "recommendations", "cart", "inventory", "orders")


def problem(status: int, slug: str, **facts: Any) -> tuple[int, dict[str, Any]]:
    return status, {"type": f"/problems/{slug}", "title": slug, "status": status, "detail": slug, **facts}


def item(sku: str) -> dict[str, Any]:
    return {
        "sku": sku,
        "name": f"Thing {sku}",
        "description": "A thing.",
        "category": "tea",
        "price_cents": 1250,
    }


def listed(skus: list[str]) -> dict[str, Any]:
    return {"items": [item(sku) for sku in skus], "page": 1, "page_size": 20, "total": len(skus)}


class Shop:
    """What the stand-ins answer: a tiny shop, in which a test breaks things."""

    bestsellers = ("P00001", "P00002", "P00003")

    def __init__(self, folder: Path) -> None:
        self.away: set[str] = set()
        self.slow: set[str] = set()
        self.mad: set[str] = set()
        """Services that answer JSON that is not as agreed."""
        self.checkout: tuple[int, Any] = (201, self.order())
        self.put: tuple[int, Any] = (200, {"items": [], "total_cents": 0})
        callees = {name: self._answer(name) for name in SERVICES}
        self.under_test = ServiceUnderTest(create_app, folder, callees=callees)
        self.browser = self.under_test.http

    def sign_in(self, seconds: int = 60) -> None:
        self.token = as_customer("C00001", seconds=seconds)["Authorization"].removeprefix("Bearer ")
        self.browser.set_cookie("shop_session", self.token)

    def get(self, path: str) -> TestResponse:
        return self.browser.get(path)

    def send(self, path: str, **fields: str) -> TestResponse:
        return self.browser.post(path, data=fields, headers={"Origin": "http://localhost"})

    def asked(self, *services: str) -> list[str]:
        """The calls that the pages made, without the one for the keys, which is made once in a process."""
        calls = [
            f"{call.method} {call.path}"
            for name in services or SERVICES
            for call in self.under_test.stand_ins[name].asked
        ]
        return [call for call in calls if "jwks" not in call]

    def sent(self, service: str) -> Any:
        """The last call that a service got."""
        return self.under_test.stand_ins[service].asked[-1]

    def order(self) -> dict[str, Any]:
        line = {
            "sku": "P00002",
            "name": "Thing",
            "unit_price_cents": 5,
            "quantity": 2,
            "line_total_cents": 10,
        }
        return {
            "id": "O1",
            "status": "confirmed",
            "items": [line],
            "total_cents": 10,
            "created_at": "2026-01-31T12:00:00Z",
        }

    def _answer(self, name: str) -> Any:
        def respond(method: str, path: str, body: Any) -> tuple[int, Any]:
            if name in self.away:
                raise requests.ConnectionError
            if name in self.slow:
                raise requests.ReadTimeout
            if name in self.mad and "jwks" not in path:
                return 200, {"nobody": "agreed on this"}
            answer: tuple[int, Any] = getattr(self, f"_{name}")(method, path, body)
            return answer

        return respond

    def _accounts(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        return publish_keys(method, path, body)

    def _catalog(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        asked = parse_qs(urlsplit(path).query)
        if path == "/api/categories":
            return 200, {"items": [{"slug": "tea", "name": "Tea", "products": 3}]}
        if "sku" in asked:
            return 200, listed([sku for sku in asked["sku"][0].split(",") if sku != "P99999"])
        return 200, listed(list(self.bestsellers))

    def _recommendations(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        return 200, {"sku": "P00009", "items": [{"sku": "P00007", "score": 1.0}]}

    def _cart(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if method != "GET":
            return self.put
        return 200, {"items": self.order()["items"], "total_cents": 10}

    def _inventory(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        return 200, {"sku": "P00009", "available": 3}

    def _orders(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if method == "POST":
            return self.checkout
        if path.startswith("/api/orders?"):
            return 200, {"items": [self.order()], "page": 1, "page_size": 20, "total": 1}
        return 200, self.order()


def checkout_key(page: TestResponse) -> str:
    found = re.search(r'name="key" value="([^"]+)"', page.text)
    assert found
    return found[1]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    shop.under_test.close()
