"""Both shops in this process behind one face, so that the same test drives either.

Customers hold tokens signed with the shop's own key. Nothing runs in the background: a test takes the turns of the
loops itself, in the replica that it likes.
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
from sqlalchemy import Engine, text

from microservices.chaos.invariants import Databases, Shop
from microservices.chassis import context
from microservices.chassis.breaker import Breaker, RetryBudget
from microservices.chassis.client import upstream
from microservices.chassis.database import writing
from microservices.chassis.events import FEED_PATH, FeedReader
from microservices.chassis.runtime import runtime
from microservices.chassis.tokens import AUDIENCE, ISSUER
from microservices.tests.in_process import SplitShop
from monolith import recommendations
from monolith.app import create_app
from monolith.chassis.config import Config
from monolith.chassis.runtime import runtime as of_the_block
from monolith.dataset import Sizes
from monolith.seed import export, seed

CARD, DECLINED, SILENT = "4242424242424242", "4000000000000002", "4000000000000119"
SETTINGS = {
    "SHOP_PAYMENT_TIMEOUT_SECONDS": "0.01",
    # What is about time is tested elsewhere; here a busy machine must not decide what comes out.
    "SHOP_TIMEOUT_SECONDS": "30",
}
OWNER = {"customers": "accounts", "sessions": "accounts", "products": "catalog"}
"""Which service owns a public path, where it is not the one of the same name."""
SMALL = Sizes(seed=1, products=40, customers=8, orders=10)
MAX_TURNS = 50


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client got."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def replayed(self) -> bool:
        """Whether it was answered from what is stored under the key."""
        return "Idempotency-Replayed" in self.headers


class InProcess(ABC):
    """A shop, as its clients and its operator see it."""

    name: str

    @abstractmethod
    def app(self, service: str) -> Flask:
        """The application that does the work of a service."""

    def database(self, service: str) -> Any:
        """The database that holds the data of a service; in both shops it can be used alike."""
        return runtime(self.app(service)).database

    @abstractmethod
    def work(self) -> bool:
        """Take one turn of every loop; whether there may be more to do."""

    @abstractmethod
    def redeliver(self, order: Random) -> None:
        """Have every event that there ever was come three more times, in any order."""

    @abstractmethod
    def look(self) -> Shop:
        """What the databases hold, in the words of the invariants."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""

    def ask(self, customer: str, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """One request of a customer (of the admin, when the name is `admin`)."""
        first = path.split("/")[2]
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        client = self.app(OWNER.get(first, first)).test_client()
        answer = client.open(path, method=method, json=body, headers=self.signed(customer) | named)
        return Reply(answer.status_code, answer.get_json(silent=True), dict(answer.headers))

    def signed(self, customer: str) -> dict[str, str]:
        """The headers of somebody who signed in."""
        return bearer(self.database("accounts").engine, customer)

    def put(self, customer: str, sku: str, quantity: int = 1) -> Reply:
        """Have so many of a product in the cart."""
        return self.ask(customer, "PUT", f"/api/cart/items/{sku}", {"quantity": quantity})

    def check_out(self, customer: str, key: str, card: str = CARD) -> Reply:
        """Buy what is in the cart."""
        return self.ask(customer, "POST", "/api/orders", {"card_number": card}, Idempotency_Key=key)

    def stock(self, sku: str, available: int) -> None:
        """Have so many pieces for sale."""
        assert self.ask("admin", "PUT", f"/api/inventory/{sku}", {"available": available}).status == 200

    def settle(self) -> None:
        """Let time pass until every lease has run out, and all that is left be done."""
        self.pass_time()
        for _ in range(MAX_TURNS):
            if not self.work():
                return
        raise AssertionError("the loops find ever more to do")

    @abstractmethod
    def pass_time(self) -> None:
        """Have every lease run out: whoever works on a checkout is taken for dead."""

    @abstractmethod
    def forget(self) -> None:
        """Lose what the processes remember, as a restart does."""

    def keep(self, home: Path) -> None:
        """Remember what the SQLite databases in the folder hold."""
        self._kept = {live: live.with_suffix(".kept") for live in home.glob("*.sqlite3")}
        for live, copy in self._kept.items():
            _copy(live, copy)

    def rewind(self) -> None:
        """Bring the databases back to what they held then, and the processes to what they knew."""
        for live, copy in self._kept.items():
            _copy(copy, live)
        self.forget()


class Split(InProcess):
    """The eight services."""

    name = "split"

    def __init__(self, folder: Path, dataset: Path, pattern: str | None = None, **settings: str) -> None:
        self.services = SplitShop(folder, dataset, pattern, **SETTINGS | settings)
        self._databases = Databases(pattern) if pattern else Databases.in_folder(folder)

    def app(self, service: str) -> Flask:
        return self.services.apps[service]

    def work(self) -> bool:
        turns = [loop.turn() for app in self.services.apps.values() for loop in runtime(app).loops]
        return any(turns)

    def redeliver(self, order: Random) -> None:
        app = self.app("recommendations")
        (loop,) = runtime(app).loops
        reader: FeedReader = loop.step.__self__  # type: ignore[attr-defined]  # it is a method
        with app.app_context(), context.work(10.0):
            events = 3 * upstream("orders").get(FEED_PATH, {"after": 0})["events"]
            order.shuffle(events)
            with writing() as db:
                reader.apply(db, events)

    def look(self) -> Shop:
        return Shop.look(self._databases)

    def pass_time(self) -> None:
        with self.database("orders").engine.begin() as db:
            db.execute(text("UPDATE orders SET lease_until = :then"), {"then": time.time() - 1})

    def forget(self) -> None:
        for app in self.services.apps.values():
            for each in runtime(app).upstreams.values():
                each.breaker, each.budget = Breaker(each.name), RetryBudget()

    def close(self) -> None:
        self.services.close()


class Monolith(InProcess):
    """The one block."""

    name = "monolith"

    def __init__(self, url: str, **settings: str) -> None:
        self._app = create_app(Config.from_env(SETTINGS | settings | {"SHOP_DATABASE_URL": url}))
        self._database = of_the_block(self._app).database

    def app(self, service: str) -> Flask:
        return self._app

    def work(self) -> bool:
        return recommendations.catch_up(self._database) > 0

    def redeliver(self, order: Random) -> None:
        while recommendations.catch_up(self._database):
            pass
        for _ in range(3):
            assert recommendations.catch_up(self._database) == 0

    def look(self) -> Shop:
        return look_at_monolith(self._database.engine)

    def pass_time(self) -> None:
        pass  # a transaction leaves nothing that has to be taken over

    def forget(self) -> None:
        pass

    def close(self) -> None:
        self._database.dispose()


def look_at_monolith(engine: Engine) -> Shop:
    """The one database in the words that the split's invariants are written in.

    Nothing is ever reserved here, and the orders are themselves the feed of what was ordered.
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
    return Shop(
        orders=found,
        lines=lines,
        outbox=[{"position": order["number"], "data": {"order_id": order["id"]}} for order in new],
        stock={row["sku"]: {**row, "reserved": 0} for row in stock},
        reservations={},
        reserved=[],
        payments={row["order_id"]: row for row in payments},
        popularity={row["sku"]: row["orders"] for row in popularity},
        read_to=position[0]["position"] if new and position else 0,
    )


def _copy(source: Path, target: Path) -> None:
    """Make one SQLite database what another is, also while connections to it are open."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        other.execute("PRAGMA synchronous=OFF")  # a test that is cut short by a power cut is run again
        one.backup(other)


def bearer(engine: Engine, customer: str) -> dict[str, str]:
    """The headers of a customer, signed with the key in the database of the accounts."""
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
    with closing(engine.raw_connection()) as db:  # a transaction of the shops' own would wait for a lock
        cursor = db.cursor()
        cursor.execute("SELECT kid, private_pem FROM signing_keys")
        kid, pem = cursor.fetchone() or ("", "")
    return kid, pem


@contextmanager
def opened(
    name: str, home: Path, sizes: Sizes = SMALL, pattern: str | None = None, **settings: str
) -> Iterator[InProcess]:
    """A freshly filled shop, `split` or `monolith`: on SQLite below `home`, or on the databases of `pattern`."""
    shop: InProcess
    if pattern:  # a PostgreSQL server has a hundred connections, for all tests that run at the time
        settings = {"SHOP_THREADS": "2"} | settings
    if name == "split":
        export(home / "dataset", sizes)
        shop = Split(home, home / "dataset", pattern, **settings)
    else:
        url = (pattern or f"sqlite:///{home}/{{service}}.sqlite3").replace("{service}", "monolith")
        seed(Config.from_env({"SHOP_HOME": str(home), "SHOP_DATABASE_URL": url}), sizes)
        shop = Monolith(url, **{"SHOP_HOME": str(home)} | settings)
    try:
        shop.settle()  # what the loops find at their first turn
        if pattern is None:
            shop.keep(home)
        yield shop
    finally:
        shop.close()
