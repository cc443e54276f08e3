"""Both shops in this process behind one interface, so that one test can run on either.

Customers have tokens signed with the shop's own key. Nothing runs in the background: a test runs the loops itself.
"""

from __future__ import annotations

import json
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import jwt
from flask import Flask
from sqlalchemy import Engine, MetaData, text

from microservices.chaos.snapshot import Databases, ObservedCheckout, Snapshot
from microservices.chassis import context
from microservices.chassis.breaker import Breaker, RetryBudget
from microservices.chassis.client import upstream
from microservices.chassis.config import sqlite_url
from microservices.chassis.database import writing
from microservices.chassis.events import FEED, FEED_PATH, FeedReader
from microservices.chassis.runtime import runtime
from microservices.chassis.tokens import AUDIENCE, ISSUER
from microservices.tests.in_process import SplitShop
from microservices.tests.postgresql import pattern_for
from monolith import recommendations
from monolith.app import create_app
from monolith.chassis.config import Config
from monolith.chassis.runtime import runtime as of_the_block
from monolith.dataset import Sizes
from monolith.seed import export, seed

CARD, DECLINED, SILENT = "4242424242424242", "4000000000000002", "4000000000000119"
SETTINGS = {
    "SHOP_PAYMENT_TIMEOUT_SECONDS": "0.01",
    # Deadlines are tested elsewhere; here a busy machine must not change the outcome.
    "SHOP_TIMEOUT_SECONDS": "30",
}
OWNER = {"customers": "accounts", "sessions": "accounts", "products": "catalog"}
"""The service that owns a public path, where its name differs."""
BOTH_DATABASES = ["split sqlite", "monolith sqlite", "split postgresql", "monolith postgresql"]
SMALL = Sizes(seed=1, products=40, customers=8, orders=10)
MAX_TURNS = 50


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def replayed(self) -> bool:
        """Whether it is the stored answer to an earlier request with the same key."""
        return "Idempotency-Replayed" in self.headers

    @property
    def problem(self) -> str:
        """The kind of problem; empty when the answer is no problem document."""
        kind = self.body.get("type", "") if isinstance(self.body, dict) else ""
        return str(kind).removeprefix("/problems/")

    @property
    def is_final(self) -> bool:
        """Whether it tells the outcome of a checkout, by the rules of docs/api.md."""
        decided = isinstance(self.body, dict) and self.body.get("final") is True
        return self.replayed or decided or (self.status < 500 and self.problem != "checkout-in-progress")


def observed(customer: str, key: str, reply: Reply | None) -> ObservedCheckout:
    """What the customer knows of a checkout after this answer; None: there was no answer."""
    order = reply.body if reply is not None and reply.status == 201 else None
    return ObservedCheckout(customer, key, reply.status if reply else None, order)


class InProcessShop(ABC):
    """A shop, with what its clients and its operator can do."""

    name: str

    @abstractmethod
    def app(self, service: str) -> Flask:
        """The application that does the work of this service."""

    def database(self, service: str) -> Any:
        """The database that holds the data of a service; in both shops it can be used alike."""
        return runtime(self.app(service)).database

    @abstractmethod
    def run_loops(self) -> bool:
        """Run every loop once; returns whether there may be more to do."""

    @abstractmethod
    def redeliver(self, rng: Random) -> None:
        """Deliver every event that was ever published three more times, in random order."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """The content of the databases, as the invariants need it."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""

    def ask(self, customer: str, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """One request of a customer, or of the admin for `admin`."""
        first = path.split("/")[2]
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        client = self.app(OWNER.get(first, first)).test_client()
        answer = client.open(path, method=method, json=body, headers=self.auth_headers(customer) | named)
        return Reply(answer.status_code, answer.get_json(silent=True), dict(answer.headers))

    def auth_headers(self, customer: str) -> dict[str, str]:
        """The headers of a customer who has signed in."""
        return bearer(self.database("accounts").engine, customer)

    def put_in_cart(self, customer: str, sku: str, quantity: int = 1) -> Reply:
        """Set the quantity of a product in the cart."""
        return self.ask(customer, "PUT", f"/api/cart/items/{sku}", {"quantity": quantity})

    def check_out(self, customer: str, key: str, card: str = CARD) -> Reply:
        """Check out the cart."""
        return self.ask(customer, "POST", "/api/orders", {"card_number": card}, Idempotency_Key=key)

    def set_stock(self, sku: str, available: int) -> None:
        """Set the available stock of a product."""
        assert self.ask("admin", "PUT", f"/api/inventory/{sku}", {"available": available}).status == 200

    def settle(self) -> None:
        """Let every lease expire, and run the loops until nothing is left to do."""
        self.expire_leases()
        for _ in range(MAX_TURNS):
            if not self.run_loops():
                return
        raise AssertionError(f"the loops still have work after {MAX_TURNS} turns")

    @abstractmethod
    def expire_leases(self) -> None:
        """Let every lease expire, so that another replica may take over the unfinished checkouts."""

    @abstractmethod
    def reset_memory(self) -> None:
        """Reset the state that processes keep in memory, as a restart does."""

    def save_databases(self, home: Path) -> None:
        """Copy the SQLite databases in the folder."""
        self._saved = {live: live.with_suffix(".saved") for live in home.glob("*.sqlite3")}
        for live, copy in self._saved.items():
            _copy(live, copy)

    def restore_databases(self) -> None:
        """Restore the databases from the copies, and reset the memory of the processes."""
        for live, copy in self._saved.items():
            _copy(copy, live)
        self.reset_memory()


class Split(InProcessShop):
    """The shop as eight services."""

    name = "split"

    def __init__(self, folder: Path, dataset: Path, pattern: str | None = None, **settings: str) -> None:
        self.services = SplitShop(folder, dataset, pattern, **SETTINGS | settings)
        self._databases = Databases(pattern) if pattern else Databases.in_folder(folder)

    def app(self, service: str) -> Flask:
        return self.services.apps[service]

    def run_loops(self) -> bool:
        turns = [loop.turn() for app in self.services.apps.values() for loop in runtime(app).loops]
        return any(turns)

    def redeliver(self, rng: Random) -> None:
        app = self.app("recommendations")
        (loop,) = runtime(app).loops
        reader: FeedReader = loop.step.__self__  # type: ignore[attr-defined]  # it is a method
        with app.app_context(), context.work(10.0):
            events = 3 * upstream("orders").get(FEED_PATH, {"after": 0}, read=FEED)["events"]
            rng.shuffle(events)
            with writing() as db:
                reader.apply(db, events)

    def snapshot(self) -> Snapshot:
        return Snapshot.read(self._databases)

    def expire_leases(self) -> None:
        with self.database("orders").engine.begin() as db:
            db.execute(text("UPDATE orders SET lease_until = :then"), {"then": time.time() - 1})

    def reset_memory(self) -> None:
        for app in self.services.apps.values():
            for each in runtime(app).upstreams.values():
                each.breaker, each.budget = Breaker(each.name), RetryBudget()

    def close(self) -> None:
        self.services.close()


class Monolith(InProcessShop):
    """The shop as one application."""

    name = "monolith"

    def __init__(self, url: str, **settings: str) -> None:
        self._app = create_app(Config.from_env(SETTINGS | settings | {"SHOP_DATABASE_URL": url}))
        self._database = of_the_block(self._app).database

    def app(self, service: str) -> Flask:
        return self._app

    def run_loops(self) -> bool:
        return recommendations.catch_up(self._database) > 0

    def redeliver(self, rng: Random) -> None:
        while recommendations.catch_up(self._database):
            pass
        for _ in range(3):
            assert recommendations.catch_up(self._database) == 0

    def snapshot(self) -> Snapshot:
        return monolith_snapshot(self._database.engine)

    def expire_leases(self) -> None:
        pass  # a checkout is one transaction: it leaves nothing to take over

    def reset_memory(self) -> None:
        pass

    def close(self) -> None:
        self._database.dispose()


def monolith_snapshot(engine: Engine) -> Snapshot:
    """The monolith's database in the form of the split's databases, for which the invariants are written.

    Nothing is ever reserved here, and the table of orders is also the feed of events.
    """
    with engine.connect() as db:

        def rows(query: str) -> list[dict[str, Any]]:
            return [dict(row) for row in db.execute(text(query)).mappings()]

        keys = rows("SELECT customer_id, key, body FROM idempotency_keys WHERE status = 201")
        position = rows("SELECT position FROM feed_position")
        stock = rows("SELECT * FROM stock")
        orders = rows("SELECT number, id, customer_id, total_cents FROM orders ORDER BY number")
        lines = rows("SELECT order_number, sku, quantity FROM order_lines")
        payments = rows("SELECT * FROM payments")
        popularity = rows("SELECT sku, orders FROM popularity")
    key_of = {(row["customer_id"], json.loads(row["body"])["id"]): row["key"] for row in keys}
    found = [
        {**order, "step": "settled", "key": key_of.get((order["customer_id"], order["id"]))}
        for order in orders
    ]
    new = [order for order in found if order["key"]]
    return Snapshot(
        orders=found,
        order_lines=lines,
        outbox=[{"position": order["number"], "data": {"order_id": order["id"]}} for order in new],
        stock={row["sku"]: {**row, "reserved": 0} for row in stock},
        reservations={},
        reserved_lines=[],
        payments={row["order_id"]: row for row in payments},
        popularity={row["sku"]: row["orders"] for row in popularity},
        feed_position=position[0]["position"] if new and position else 0,
    )


def stored_rows(engine: Engine) -> dict[str, list[str]]:
    """All rows of a database as text, by table."""
    metadata = MetaData()
    metadata.reflect(engine)
    with engine.connect() as db:
        return {
            table.name: sorted(str(tuple(row)) for row in db.execute(table.select()))
            for table in metadata.sorted_tables
        }


def _copy(source: Path, target: Path) -> None:
    """Overwrite one SQLite database with another; connections to it may be open."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        other.execute("PRAGMA synchronous=OFF")  # a power cut would only lose a test
        one.backup(other)


def bearer(engine: Engine, customer: str) -> dict[str, str]:
    """A customer's headers; the token is signed with the key in the database of accounts."""
    kid, pem = _signing_key(engine)
    now = int(time.time())
    admin = customer == "admin"
    claims = {
        "sub": "C00000" if admin else customer,
        "role": "admin" if admin else "customer",
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + 3600,
    }
    token = jwt.encode(claims, pem, algorithm="EdDSA", headers={"kid": kid})
    return {"Authorization": f"Bearer {token}"}


@cache
def _signing_key(engine: Engine) -> tuple[str, str]:
    with closing(engine.raw_connection()) as db:  # one of the shops' transactions would wait for a lock
        cursor = db.cursor()
        cursor.execute("SELECT kid, private_pem FROM signing_keys")
        kid, pem = cursor.fetchone() or ("", "")
    return kid, pem


@contextmanager
def shop_in_process(
    name: str, home: Path, sizes: Sizes = SMALL, pattern: str | None = None, **settings: str
) -> Iterator[InProcessShop]:
    """A freshly seeded shop, `split` or `monolith`: on SQLite below `home`, or on the databases of `pattern`."""
    shop: InProcessShop
    if pattern:  # all tests that run share the server's hundred connections
        settings = {"SHOP_THREADS": "2"} | settings
    if name == "split":
        export(home / "dataset", sizes)
        shop = Split(home, home / "dataset", pattern, **settings)
    else:
        url = (pattern or sqlite_url(home) + "/{service}.sqlite3").replace("{service}", "monolith")
        seed(Config.from_env({"SHOP_HOME": str(home), "SHOP_DATABASE_URL": url}), sizes)
        shop = Monolith(url, **{"SHOP_HOME": str(home)} | settings)
    try:
        shop.settle()  # the loops' first turn finds work
        if pattern is None:
            shop.save_databases(home)
        yield shop
    finally:
        shop.close()


@contextmanager
def shop_on(kind: str, home: Path, sizes: Sizes = SMALL) -> Iterator[InProcessShop]:
    """The same for a kind in BOTH_DATABASES."""
    name, backend = kind.split()
    with pattern_for(name, backend) as pattern, shop_in_process(name, home, sizes, pattern) as shop:
        yield shop
