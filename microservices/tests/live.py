"""Either shop as real processes behind the gateway, with customers who are already signed in."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, NullPool, create_engine, make_url, text

from microservices.chaos.invariants import violations_in
from microservices.chaos.snapshot import Databases, ObservedCheckout, Snapshot
from microservices.chassis.config import sqlite_url
from microservices.launcher import Fleet
from microservices.tests.conftest import call, public_port, wait_until
from microservices.tests.postgresql import TOPOLOGIES
from microservices.tests.shops import CARD, SMALL, Reply, bearer, monolith_snapshot, observed, shop_in_process
from microservices.topology import Topology
from monolith.dataset import Sizes

ACCOUNTS = {"split": "accounts", "monolith": "monolith"}
ANSWER_SECONDS = 120.0
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class LiveShop:
    """A running shop."""

    name: str
    fleet: Fleet
    crash_at: Path
    """The file into which a test writes the name of the boundary at which a process kills itself."""
    pattern: str
    """The URL pattern of its databases, with {service} in it."""
    accounts: Engine
    databases: Databases | None

    @property
    def port(self) -> int:
        return public_port(self.fleet)

    def database(self, service: str) -> URL:
        """The URL of a service's database; the monolith has one for all."""
        return make_url(self.pattern.replace("{service}", service if self.name == "split" else "monolith"))

    def snapshot(self) -> Snapshot:
        return Snapshot.read(self.databases) if self.databases else monolith_snapshot(self.accounts)

    def expire_leases(self) -> None:
        """Let every lease expire, as it does by itself ten seconds after a crash."""
        if self.name == "split":
            with engine_for(self.database("orders")).begin() as db:
                db.execute(text("UPDATE orders SET lease_until = 0"))

    def auth_headers(self, customer: str) -> dict[str, str]:
        return bearer(self.accounts, customer)

    def ask(self, customer: str, method: str, path: str, body: Any = None, **headers: str) -> Reply | None:
        """One request; None when there was no answer."""
        sent = None if body is None else json.dumps(body)
        named = {"Content_Type": "application/json"} | self.auth_headers(customer) | headers
        try:
            answer = call(self.port, method, path, sent, **named)
        except (OSError, HTTPException):
            return None
        return Reply(answer.status, json.loads(answer.text) if answer.text else None, answer.headers)

    def check_out(self, customer: str, key: str, card: str = CARD) -> Reply | None:
        return self.ask(customer, "POST", "/api/orders", {"card_number": card}, Idempotency_Key=key)

    def final_reply(
        self,
        customer: str,
        key: str,
        card: str = CARD,
        *,
        seconds: float = ANSWER_SECONDS,
        checkouts: list[ObservedCheckout] | None = None,
    ) -> Reply:
        """Retry a checkout with its key until the answer is final; every answer is added to `checkouts`."""
        deadline = time.monotonic() + seconds
        while True:
            reply = self.check_out(customer, key, card)
            if checkouts is not None:
                checkouts.append(observed(customer, key, reply))
            if reply is not None and reply.is_final:
                return reply
            assert time.monotonic() < deadline, f"no final answer: {reply}"
            time.sleep(POLL_SECONDS)

    def put_in_cart(self, customer: str, sku: str) -> None:
        """Have one item in the cart; retries until it is there."""
        wait_until(
            lambda: self._succeeds(customer, "PUT", f"/api/cart/items/{sku}", {"quantity": 1}), ANSWER_SECONDS
        )

    def set_stock(self, sku: str, available: int) -> None:
        """Set the available stock of a product; retries until it is set."""
        wait_until(
            lambda: self._succeeds("admin", "PUT", f"/api/inventory/{sku}", {"available": available}),
            ANSWER_SECONDS,
        )

    def settle(
        self, checkouts: list[ObservedCheckout], seconds: float, before: Snapshot | None = None
    ) -> Snapshot:
        """Wait until no invariant is violated; returns the databases then."""
        wait_until(lambda: violations_in(self.snapshot(), checkouts, before) == [], seconds)
        return self.snapshot()

    def _succeeds(self, customer: str, method: str, path: str, body: Any) -> bool:
        reply = self.ask(customer, method, path, body)
        return reply is not None and reply.status == 200


def engine_for(url: URL) -> Engine:
    """An engine that reads a database from outside the shop."""
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return create_engine(url, poolclass=NullPool)


@contextmanager
def running_shop(
    name: str,
    home: Path,
    *,
    sizes: Sizes = SMALL,
    pattern: str | None = None,
    replicas: Mapping[str, int] | None = None,
    **settings: str,
) -> Iterator[LiveShop]:
    """A freshly seeded shop whose processes a test can crash at a boundary."""
    data = home / "data"
    data.mkdir()
    with shop_in_process(name, data, sizes, pattern):
        pass
    crash_at = home / "crash-at"
    env = {"SHOP_CRASH_AT": str(crash_at), **settings, **({"SHOP_DATABASE_URL": pattern} if pattern else {})}
    where = pattern or sqlite_url(data) + "/{service}.sqlite3"
    engine = engine_for(make_url(where.replace("{service}", ACCOUNTS[name])))
    databases = None
    if name == "split":
        databases = Databases(pattern) if pattern else Databases.in_folder(data)
    with Fleet(with_crash_points(TOPOLOGIES[name]), replicas, data_dir=data, home=home, env=env) as fleet:
        yield LiveShop(name, fleet, crash_at, where, engine, databases)


def with_crash_points(topology: Topology) -> Topology:
    """The same services, each started by `microservices.tests.crashing`."""
    services = [
        replace(service, command=("-m", "microservices.tests.crashing", *service.command[1:]))
        for service in topology.services
    ]
    return replace(topology, services=tuple(services))
