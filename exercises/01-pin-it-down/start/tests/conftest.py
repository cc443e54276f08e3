"""What the tests share: the shop's address, people who visit it, and products with a price and a stock.

The tests know a web address and nothing else. Set SHOP_URL to run them against another shop.
"""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
import requests
from people import PASSWORD, SECONDS, Customer


@pytest.fixture(scope="session")
def shop_url() -> str:
    """The shop under test."""
    return os.environ.get("SHOP_URL", "http://127.0.0.1:8000").rstrip("/")


@pytest.fixture(scope="session")
def admin(shop_url: str) -> Iterator[Customer]:
    """The administrator, who may set prices and stock."""
    with closing(Customer(shop_url, "admin@example.com")) as admin:
        yield admin


@pytest.fixture
def new_customer(shop_url: str) -> Iterator[Callable[[], Customer]]:
    """Call it for a new customer: empty cart, no orders."""

    with ExitStack() as stack:

        def register() -> Customer:
            email = f"guest-{uuid.uuid4().hex}@example.com"
            new = {"email": email, "password": PASSWORD, "name": "A Guest"}
            answer = requests.post(f"{shop_url}/api/customers", json=new, timeout=SECONDS)
            assert answer.status_code == 201, answer.text
            return stack.enter_context(closing(Customer(shop_url, email)))

        yield register


@pytest.fixture
def product(admin: Customer) -> Callable[..., str]:
    """Call it for the SKU of a product with this price and this stock; each call gives another product."""
    taken: set[str] = set()

    def pick(price_cents: int = 1000, stock: int = 50) -> str:
        listed = admin.ask("GET", "/api/products?page_size=100").json()["items"]
        sku = str(secrets.choice([item["sku"] for item in listed if item["sku"] not in taken]))
        taken.add(sku)
        assert admin.ask("PUT", f"/api/products/{sku}/price", json={"price_cents": price_cents}).ok
        assert admin.ask("PUT", f"/api/inventory/{sku}", json={"available": stock}).ok
        return sku

    return pick
