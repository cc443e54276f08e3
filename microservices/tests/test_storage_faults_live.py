"""A database that is locked for three and for eight seconds, with real processes and real times; in `make chaos`.

Three seconds are waited for: no request fails. Eight are too many: whoever needs that database is told 503 and when to
come back. A checkout of the split shop whose callee is locked ends at the deadline of the request already.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg
import pytest

from microservices.chaos.invariants import Told, broken_in
from microservices.tests import postgresql
from microservices.tests.conftest import wait_until
from microservices.tests.live import TOPOLOGIES, Live, running
from microservices.tests.test_races_live import told_by

pytestmark = [pytest.mark.processes, pytest.mark.full]

SHORT, LONG = 3.0, 8.0
TABLE = {"cart": "cart_lines", "orders": "orders", "inventory": "stock", "payments": "payments"}
CUSTOMER, SKU = "C00001", "P00001"
SETTLED_SECONDS = 40.0
_keys = iter(f"key-{number:08}" for number in range(1000))


DATABASES = [
    *((f"split {backend}", part) for backend in ("sqlite", "postgresql") for part in TABLE),
    *((f"monolith {backend}", "orders") for backend in ("sqlite", "postgresql")),  # one for all
]


@pytest.fixture(scope="module")
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    name, backend = request.param.split()
    with ExitStack() as stack:
        pattern = None
        if backend == "postgresql":
            _, pattern = stack.enter_context(postgresql.databases(TOPOLOGIES[name]))
        # Longer than the lock: with the usual two seconds a checkout ends before a callee's lock of three.
        yield stack.enter_context(
            running(
                name,
                tmp_path_factory.mktemp(name),
                pattern=pattern,
                SHOP_TIMEOUT_SECONDS="4",
                SHOP_THREADS="3",
            )
        )


@contextmanager
def locked(shop: Live, part: str, seconds: float) -> Iterator[None]:
    """Hold the lock against all writers from outside, for so long."""
    connection: Any
    url = shop.address(part)
    if url.startswith("sqlite:///"):
        connection = sqlite3.connect(
            url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False
        )
        connection.execute("BEGIN IMMEDIATE")
    else:
        connection = psycopg.connect(url)
        connection.execute(f"LOCK TABLE {TABLE[part]} IN EXCLUSIVE MODE")
    with closing(connection):
        timer = threading.Timer(seconds, connection.rollback)
        timer.start()
        yield
        timer.join()


@pytest.mark.parametrize(("shop", "part"), DATABASES, indirect=["shop"])
def test_three_seconds_are_waited_for(shop, part):
    put(shop)
    key = next(_keys)
    with locked(shop, part, SHORT):
        started = time.monotonic()
        reply = shop.check_out(CUSTOMER, key)
        waited = time.monotonic() - started
    assert reply is not None
    assert reply.status == 201, reply
    assert waited > SHORT / 2, "it did not wait for anything"
    wait_until(lambda: broken_in(shop.look(), [told_by(CUSTOMER, key, reply)]) == [], SETTLED_SECONDS)


@pytest.mark.parametrize(("shop", "part"), DATABASES, indirect=["shop"])
def test_eight_seconds_are_a_refusal_that_says_when_to_come_back(shop, part):
    put(shop)
    key, told = next(_keys), list[Told]()
    with locked(shop, part, LONG):
        reply = shop.check_out(CUSTOMER, key)
        assert reply is not None
        told.append(told_by(CUSTOMER, key, reply))
        if part == "orders":
            assert (reply.status, reply.headers.get("Retry-After")) == (503, "1")
        elif part == "cart":  # the order stands before its cart is emptied
            assert reply.status == 201
        else:
            assert reply.status in {503, 504}, reply
    again = ask_until_decided(shop, key, told)
    assert again == 201 or part != "orders"
    wait_until(lambda: broken_in(shop.look(), told) == [], SETTLED_SECONDS)


def ask_until_decided(shop: Live, key: str, told: list[Told]) -> int:
    """The status of the final answer."""
    deadline = time.monotonic() + SETTLED_SECONDS
    while True:
        reply = shop.check_out(CUSTOMER, key)
        told.append(told_by(CUSTOMER, key, reply))
        if reply is not None and (reply.replayed or reply.status in {201, 402}):
            return reply.status
        assert time.monotonic() < deadline, reply
        time.sleep(0.1)


def put(shop: Live) -> None:
    def is_in() -> bool:
        reply = shop.ask(CUSTOMER, "PUT", f"/api/cart/items/{SKU}", {"quantity": 1})
        return reply is not None and reply.status == 200

    wait_until(is_in, SETTLED_SECONDS)
