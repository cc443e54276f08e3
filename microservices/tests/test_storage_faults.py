"""A database that is locked by somebody else, and a disk that is full: nobody gets half an order, and it passes.

Both shops. A lock is held by a real second connection, on SQLite and on PostgreSQL; times are a fraction of the real
ones, which test_storage_faults_live.py takes. A full disk is `max_page_count`, which only SQLite has.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from microservices.chaos.invariants import Told, broken_in
from microservices.chassis import database as of_a_service
from microservices.tests import postgresql
from microservices.tests.shops import InProcess, Reply, opened
from microservices.tests.test_races import TOPOLOGIES
from monolith.chassis import database as of_the_monolith

CUSTOMER, SKU, KEY = "C00001", "P00001", "key-00000001"
LOCK_TIMEOUT_MS = 800
STAYS_SECONDS = 20.0
SHORT_SECONDS = 0.2
TABLE = {"cart": "cart_lines", "orders": "orders", "inventory": "stock", "payments": "payments"}
DATABASES = [
    *(("split", "sqlite", part) for part in TABLE),
    *(("split", "postgresql", part) for part in ("orders", "inventory")),
    ("monolith", "sqlite", "orders"),
    ("monolith", "postgresql", "orders"),
]
MAX_PURCHASES = 200


@pytest.fixture(scope="module", autouse=True)
def impatient() -> Iterator[None]:
    with (
        patch.object(of_a_service, "LOCK_TIMEOUT_MS", LOCK_TIMEOUT_MS),
        patch.object(of_the_monolith, "LOCK_TIMEOUT_MS", LOCK_TIMEOUT_MS),
    ):
        yield


@pytest.fixture(scope="module")
def shops(impatient, tmp_path_factory) -> Iterator[Callable[[str, str], InProcess]]:
    """A shop by its name and its database, opened when it is asked for first."""
    made: dict[tuple[str, str], InProcess] = {}
    with ExitStack() as stack:

        def shop(name: str, backend: str) -> InProcess:
            if (name, backend) not in made:
                pattern = None
                if backend == "postgresql":
                    _, pattern = stack.enter_context(postgresql.databases(TOPOLOGIES[name]))
                made[name, backend] = stack.enter_context(
                    opened(name, tmp_path_factory.mktemp(name), pattern=pattern)
                )
            made[name, backend].forget()
            return made[name, backend]

        yield shop


@contextmanager
def locked(shop: InProcess, part: str, seconds: float | None = None) -> Iterator[None]:
    """Hold the lock against all writers, for so long or until the block ends.

    A shop that would wait for ever gets it in the end, so that the test fails instead of hanging.
    """
    url = shop.database(part).engine.url
    connection: Any
    if url.get_backend_name() == "sqlite":
        connection = sqlite3.connect(url.database, isolation_level=None, check_same_thread=False)
        connection.execute("BEGIN IMMEDIATE")
    else:
        connection = psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
        connection.execute(f"LOCK TABLE {TABLE[part]} IN EXCLUSIVE MODE")
    with closing(connection):
        timer = threading.Timer(seconds or STAYS_SECONDS, connection.rollback)
        timer.start()
        yield
        if seconds is None:
            timer.cancel()
        timer.join()


_keys = iter(f"key-{number:08}" for number in range(10_000))


@pytest.mark.parametrize(("name", "backend", "part"), DATABASES)
def test_a_lock_that_passes_in_time_is_waited_for(shops, backend, name, part):
    shop, key = shops(name, backend), next(_keys)
    assert shop.put(CUSTOMER, SKU).status == 200
    with locked(shop, part, SHORT_SECONDS):
        started = time.monotonic()
        reply = shop.check_out(CUSTOMER, key)
        assert time.monotonic() - started > SHORT_SECONDS / 2, "it did not wait for anything"
    assert reply.status == 201
    shop.settle()
    assert broken_in(shop.look(), [told(key, reply)]) == []


@pytest.mark.parametrize(("name", "backend", "part"), DATABASES)
def test_a_lock_that_stays_is_a_503_with_retry_after_and_no_half_order(shops, backend, name, part):
    shop, key = shops(name, backend), next(_keys)
    assert shop.put(CUSTOMER, SKU).status == 200
    with locked(shop, part):
        first = shop.check_out(CUSTOMER, key)
    if (name, part) == ("split", "cart"):  # the order stands before the cart is emptied
        assert first.status == 201
    else:
        assert (first.status, first.headers["Retry-After"]) == (503, "1")
    shop.settle()
    again = shop.check_out(CUSTOMER, key)
    assert again.status in {201, 503}
    shop.settle()
    assert broken_in(shop.look(), [told(key, first), told(key, again)]) == []


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
@pytest.mark.parametrize("name", ["split", "monolith"])
def test_a_locked_database_is_still_read(shops, backend, name):
    shop = shops(name, backend)
    with locked(shop, "inventory"):
        assert shop.ask(CUSTOMER, "GET", f"/api/inventory/{SKU}").status == 200


@contextmanager
def full_disk(shop: InProcess, part: str) -> Iterator[None]:
    """Not a page more for the database of a service, until the block ends; the connections stay open."""
    engine = shop.database(part).engine
    limit = 1  # less than there are: as many as there are

    def set_limit(connection: Any, *_: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={limit}")

    event.listen(engine, "checkout", set_limit)
    yield
    limit = 2**30  # for each connection, as soon as it is used again


@pytest.mark.parametrize(
    ("name", "part"),
    [("split", "orders"), ("split", "inventory"), ("split", "payments"), ("monolith", "orders")],
)
def test_a_full_disk_is_a_503_with_retry_after_and_no_half_order(shops, name, part):
    shop = shops(name, "sqlite")
    before = shop.look()
    known: list[tuple[str, Reply]] = []
    with full_disk(shop, part):
        while not known or known[-1][1].status == 201:
            assert len(known) < MAX_PURCHASES, "the disk is never full"
            assert shop.put(CUSTOMER, SKU).status == 200
            known.append((key := next(_keys), shop.check_out(CUSTOMER, key)))
            shop.stock(SKU, 1000)
        assert (known[-1][1].status, known[-1][1].headers["Retry-After"]) == (503, "1")
        with suppress(OperationalError):
            shop.settle()
        for sentence in broken_in(shop.look(), [told(*one) for one in known]):
            assert sentence.startswith(("I4", "I6")), sentence
    # There is room again: nobody starts anything anew.
    shop.forget()
    shop.settle()
    known += [(key, shop.check_out(CUSTOMER, key)) for key, _ in known]
    assert shop.put(CUSTOMER, SKU).status == 200
    known.append((key := next(_keys), shop.check_out(CUSTOMER, key)))
    assert known[-1][1].status == 201
    shop.settle()
    assert broken_in(shop.look(), [told(*one) for one in known]) == []
    assert len(shop.look().orders) > len(before.orders)


def told(key: str, reply: Reply) -> Told:
    return Told(CUSTOMER, key, reply.status, reply.body if reply.status == 201 else None)
