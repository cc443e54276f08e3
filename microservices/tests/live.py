"""Either shop as real processes behind the gateway, with customers who are signed in already."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine, text

from microservices.chaos.invariants import Databases, Shop
from microservices.launcher import Fleet
from microservices.tests.conftest import call
from microservices.tests.shops import CARD, SMALL, Reply, bearer, look_at_monolith, opened
from microservices.topology import MONOLITH, SPLIT, Topology
from monolith.dataset import Sizes

TOPOLOGIES = {"split": SPLIT, "monolith": MONOLITH}
ACCOUNTS = {"split": "accounts", "monolith": "monolith"}


@dataclass(frozen=True)
class Live:
    """A running shop."""

    name: str
    fleet: Fleet
    crash_at: Path
    """The file in which a test writes the name of the boundary where somebody shall die."""
    pattern: str
    """Of the addresses of its databases, with {service} in it."""
    accounts: Engine
    databases: Databases | None

    @property
    def port(self) -> int:
        return int(self.fleet.url.rpartition(":")[2])

    def address(self, part: str) -> str:
        """Of the database of a service, or of the one that the monolith has."""
        return self.pattern.replace("{service}", part if self.name == "split" else "monolith")

    def look(self) -> Shop:
        return Shop.look(self.databases) if self.databases else look_at_monolith(self.accounts)

    def pass_time(self) -> None:
        """Have every lease run out, as it does by itself ten seconds after a crash."""
        if self.name == "split":
            with engine_of(self.address("orders")).begin() as db:
                db.execute(text("UPDATE orders SET lease_until = 0"))

    def signed(self, customer: str) -> dict[str, str]:
        return bearer(self.accounts, customer)

    def ask(self, customer: str, method: str, path: str, body: Any = None, **headers: str) -> Reply | None:
        """One request; None when there was no answer."""
        sent = None if body is None else json.dumps(body)
        named = {"Content_Type": "application/json"} | self.signed(customer) | headers
        try:
            answer = call(self.port, method, path, sent, **named)
        except (OSError, HTTPException):
            return None
        return Reply(answer.status, json.loads(answer.text) if answer.text else None, answer.headers)

    def check_out(self, customer: str, key: str, card: str = CARD) -> Reply | None:
        return self.ask(customer, "POST", "/api/orders", {"card_number": card}, Idempotency_Key=key)


def engine_of(url: str) -> Engine:
    """For looking into a database from outside."""
    return create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)


@contextmanager
def running(
    name: str,
    home: Path,
    *,
    sizes: Sizes = SMALL,
    pattern: str | None = None,
    replicas: Mapping[str, int] | None = None,
    **settings: str,
) -> Iterator[Live]:
    """A freshly filled shop whose processes can be made to crash."""
    data = home / "data"
    data.mkdir()
    with opened(name, data, sizes, pattern):
        pass
    crash_at = home / "crash-at"
    env = {"SHOP_CRASH_AT": str(crash_at), **settings, **({"SHOP_DATABASE_URL": pattern} if pattern else {})}
    where = pattern or f"sqlite:///{data}/{{service}}.sqlite3"
    engine = engine_of(where.replace("{service}", ACCOUNTS[name]))
    databases = None
    if name == "split":
        databases = Databases(pattern) if pattern else Databases.in_folder(data)
    with Fleet(fragile(TOPOLOGIES[name]), replicas, data_dir=data, home=home, env=env) as fleet:
        yield Live(name, fleet, crash_at, where, engine, databases)


def fragile(topology: Topology) -> Topology:
    """The same services, each started by the program that can be made to crash."""
    services = [
        replace(service, command=("-m", "microservices.tests.crashing", *service.command[1:]))
        for service in topology.services
    ]
    return replace(topology, services=tuple(services))
