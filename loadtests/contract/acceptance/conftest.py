"""Fixtures of the acceptance suite: the address of the shop, visitors and customers, products to buy."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
import requests

from loadtests.contract.acceptance.browser import Browser
from loadtests.contract.acceptance.contract import Contract
from loadtests.contract.acceptance.shelf import Shelf
from loadtests.contract.acceptance.visitors import Customer, Visitor
from loadtests.contract.client import new_session


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shop-url", help="the shop to test, such as http://127.0.0.1:8000 (or set SHOP_URL)")


def pytest_configure(config: pytest.Config) -> None:
    """Stop at once if no shop answers; otherwise every single test would fail."""
    url = config.getoption("--shop-url") or os.environ.get("SHOP_URL")
    if not url:
        raise pytest.UsageError("Say which shop to test: --shop-url http://127.0.0.1:8000, or set SHOP_URL.")
    try:
        with new_session() as session:
            session.get(f"{url}/api/categories", timeout=30)
    except requests.RequestException:
        raise pytest.UsageError(
            f"No shop answers at {url}; start one, for example with `monolith serve`."
        ) from None


@pytest.fixture(scope="session")
def shop_url(pytestconfig: pytest.Config) -> str:
    url: str = pytestconfig.getoption("--shop-url") or os.environ["SHOP_URL"]
    return url.rstrip("/")


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract.load()


@pytest.fixture(scope="session")
def visitor(shop_url: str, contract: Contract) -> Iterator[Visitor]:
    """A visitor who is not signed in."""
    with closing(Visitor(shop_url, contract)) as visitor:
        yield visitor


@pytest.fixture(scope="session")
def elsewhere() -> str:
    """A second loopback address, for requests from another network address. Linux has one."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.2", 0))
        except OSError as error:
            pytest.skip(
                f"this machine has no second loopback address: 127.0.0.2 cannot be used ({error.strerror})"
            )
    return "127.0.0.2"


@pytest.fixture
def new_customer(shop_url: str, contract: Contract) -> Iterator[Callable[[], Customer]]:
    """A function that registers a new customer each time."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(Customer(shop_url, contract)))


@pytest.fixture
def customer(new_customer: Callable[[], Customer]) -> Customer:
    """A new customer, with an empty cart and no orders."""
    return new_customer()


@pytest.fixture(scope="session")
def regular(shop_url: str, contract: Contract) -> Iterator[Customer]:
    """A customer shared by tests that change nothing: refused requests, and reads."""
    with closing(Customer(shop_url, contract)) as customer:
        yield customer


@pytest.fixture(scope="session")
def ada(shop_url: str, contract: Contract) -> Iterator[Customer]:
    """The demo customer with past orders. Use it only to read."""
    with closing(Customer(shop_url, contract, "ada@example.com")) as customer:
        yield customer


@pytest.fixture(scope="session")
def admin(shop_url: str, contract: Contract) -> Iterator[Customer]:
    with closing(Customer(shop_url, contract, "admin@example.com")) as customer:
        yield customer


@pytest.fixture
def shelf(admin: Customer) -> Iterator[Shelf]:
    """Picks products, sets their stock and price, and restores both after the test."""
    shelf = Shelf(admin)
    yield shelf
    shelf.restore()


@pytest.fixture
def product(shelf: Shelf) -> dict[str, Any]:
    """A product with a large stock."""
    return shelf.pick()


@pytest.fixture
def some_sku(visitor: Visitor) -> str:
    """Any product's SKU, for requests in which it does not matter."""
    return str(secrets.choice(visitor.get("/api/products?page_size=100").json()["items"])["sku"])


@pytest.fixture
def browser(shop_url: str) -> Iterator[Browser]:
    """A browser that is not signed in."""
    with closing(Browser(shop_url)) as browser:
        yield browser


@pytest.fixture(scope="session")
def regular_browser(shop_url: str, regular: Customer) -> Iterator[Browser]:
    """A browser in which `regular` is signed in, shared by tests whose forms are all refused."""
    with closing(Browser(shop_url)) as browser:
        browser.sign_in(regular.email, regular.password)
        yield browser


@pytest.fixture
def signed_in(browser: Browser, customer: Customer) -> Browser:
    """A browser in which `customer` is signed in."""
    browser.sign_in(customer.email, customer.password)
    return browser
