"""The split shop with a bad network between two services: real processes, real databases, a proxy that breaks things.

Every fault ends in time and in an answer that says so, and when it is over nothing is lost, sold twice or kept.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from microservices.chaos.faultproxy import FaultProxy
from microservices.chaos.invariants import Databases, Shop, Told, broken
from microservices.launcher import SPLIT, Fleet
from microservices.launcher.seed import seed
from microservices.tests.conftest import Answer, call, public_port, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timed]

SMALL = {"SHOP_PRODUCTS": "40", "SHOP_CUSTOMERS": "3", "SHOP_ORDERS": "10"}
SKU = "P00001"
CARD = "4242424242424242"
DEADLINE, PATIENCE, MARGIN = 2.0, 0.5, 0.25
"""Seconds: of a request (SHOP_TIMEOUT_SECONDS), of a page for what it can do without, and what may come on top."""
SETTLED_SECONDS = 30.0

FAULTS = {
    "an answer that is three seconds late": ("latency", "downstream", {"latency": 3000}),
    "a request that is three seconds late": ("latency", "upstream", {"latency": 3000}),
    "an answer that never comes": ("timeout", "downstream", {"timeout": 0}),
    "a request that never arrives": ("timeout", "upstream", {"timeout": 0}),
    "an answer that is lost with its connection": ("timeout", "downstream", {"timeout": 50}),
    "a request that is lost with its connection": ("timeout", "upstream", {"timeout": 50}),
    "a connection that is reset before the answer": ("reset_peer", "downstream", {}),
    "a connection that is reset before the request": ("reset_peer", "upstream", {}),
    "an answer that trickles in": ("slicer", "downstream", {"average_size": 20, "delay": 500_000}),
    "an answer that is cut off in its head": ("limit_data", "downstream", {"bytes": 40}),
    "an answer that is cut off in its body": ("limit_data", "downstream", {"bytes": 200}),
    "a request that is cut off": ("limit_data", "upstream", {"bytes": 100}),
    "a 503 in place of the answer": ("answer", "downstream", {"status": 503}),
    "broken JSON in place of the answer": ("answer", "downstream", {"status": 200, "body": 1}),
    "JSON that nobody agreed on": ("answer", "downstream", {"status": 200, "body": 2}),
    "a list that nobody agreed on": ("answer", "downstream", {"status": 200, "body": 3}),
}
_numbers = itertools.count(1)


@dataclass
class Client:
    """A customer who buys one piece after the other, and keeps what he was told."""

    port: int
    told: list[Told] = field(default_factory=list)

    def __post_init__(self) -> None:
        new = {"email": f"guest-{next(_numbers)}@example.com", "password": "correct-horse", "name": "A Guest"}
        self.headers: dict[str, str] = {}
        self.id = self.ask("POST", "/api/customers", new).json()["id"]
        token = self.ask("POST", "/api/sessions", {n: new[n] for n in ("email", "password")}).json()["token"]
        self.headers = {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        sent = None if body is None else json.dumps(body)
        return call(self.port, method, path, sent, Content_Type="application/json", **self.headers, **headers)

    def check_out(self, key: str) -> Answer:
        answer = self.ask("POST", "/api/orders", {"card_number": CARD}, Idempotency_Key=key)
        self.told.append(Told(self.id, key, answer.status, answer.json() if answer.status == 201 else None))
        return answer

    def fill_cart(self) -> str:
        """Put a piece into the cart; the key that it can be bought with."""
        assert self.ask("PUT", f"/api/cart/items/{SKU}", {"quantity": 1}).status == 200
        return f"key-{next(_numbers):08}"

    def buy(self) -> Answer:
        return self.check_out(self.fill_cart())


@dataclass
class BadNetwork:
    """The shop, and the two places where its network can be bad."""

    fleet: Fleet
    payments: FaultProxy
    recommendations: FaultProxy
    databases: Databases
    clients: list[Client] = field(default_factory=list)

    def client(self) -> Client:
        client = Client(public_port(self.fleet))
        self.clients.append(client)
        return client

    def told(self) -> list[Told]:
        return [told for client in self.clients for told in client.told]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BadNetwork]:
    """A shop whose orders reach payments, and whose storefront reaches recommendations, through a proxy each."""
    home = tmp_path_factory.mktemp("home")
    seed(home / "data", home=home, env=SMALL)
    with ExitStack() as stack:
        payments, recommendations = (stack.enter_context(FaultProxy()) for _ in range(2))
        addresses = {
            "orders": {"SHOP_PAYMENTS_URL": payments.url},
            "storefront": {"SHOP_RECOMMENDATIONS_URL": recommendations.url},
        }
        fleet = stack.enter_context(Fleet(SPLIT, data_dir=home / "data", home=home, env_for=addresses))
        ports = fleet.internal_ports
        payments.upstream, recommendations.upstream = ports["payments"], ports["recommendations"]
        databases = Databases.in_folder(home / "data")
        before = Shop.look(databases)
        network = BadNetwork(fleet, payments, recommendations, databases)
        yield network
        # Whatever the tests did, in whatever order: nothing is lost, and nothing is left undecided.
        with suppress(AssertionError):  # what is broken says more than that it took too long
            wait_until(lambda: not broken(databases, network.told(), before), SETTLED_SECONDS)
        assert broken(databases, network.told(), before) == []


@pytest.fixture
def client(network: BadNetwork) -> Client:
    """A customer of a shop that sells: the breaker closed again after what another test did."""
    client = network.client()
    wait_until(lambda: client.buy().status == 201, 5.0)
    return client


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_before_payments_ends_in_time_and_is_said(network, client, fault):
    kind, stream, attributes = FAULTS[fault]
    with network.payments.toxic(kind, stream, **attributes):
        key = client.fill_cart()
        began = time.monotonic()
        answer = client.check_out(key)
        took = time.monotonic() - began
        assert answer.status in {502, 503, 504}, answer.text
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert took <= DEADLINE + MARGIN
    repeated = client.check_out(key)
    assert (repeated.status, repeated.headers["Idempotency-Replayed"]) == (answer.status, "true")
    assert repeated.json() == answer.json()
    orders = [told for told in client.told if told.status == 201]
    assert client.ask("GET", "/api/orders").json()["total"] == len(orders)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_before_recommendations_costs_a_page_half_a_second_and_its_suggestions(network, fault):
    page = f"/products/{SKU}"
    port = public_port(network.fleet)
    wait_until(lambda: "Goes well with" in call(port, "GET", page).text, 5.0)
    kind, stream, attributes = FAULTS[fault]
    with network.recommendations.toxic(kind, stream, **attributes):
        began = time.monotonic()
        answer = call(port, "GET", page)
        took = time.monotonic() - began
    assert answer.status == 200
    assert "takes too long to work out just now" in answer.text
    assert took <= PATIENCE + MARGIN


def test_a_breaker_saves_the_pages_from_waiting_for_what_does_not_come(network):
    port, page = public_port(network.fleet), f"/products/{SKU}"
    wait_until(lambda: "Goes well with" in call(port, "GET", page).text, 5.0)
    with network.recommendations.toxic("timeout"):
        before = network.recommendations.connections
        began = time.monotonic()
        for _ in range(20):
            assert call(port, "GET", page).status == 200
        took = time.monotonic() - began
        assert network.recommendations.connections - before <= 10
        assert took < 20 * PATIENCE / 2
    wait_until(lambda: "Goes well with" in call(port, "GET", page).text, 5.0)


def test_what_a_client_was_told_is_what_the_databases_say_while_faults_go_on(network, client):
    with (
        network.payments.toxic("latency", latency=60, jitter=60),
        network.payments.toxic("limit_data", bytes=900),
    ):
        for _ in range(10):
            client.buy()
    assert {told.status for told in client.told} <= {201, 502, 503, 504}
