"""A locked database and a full disk: no order is half done, and the shop works again afterwards.

Both shops. A second connection holds the lock, on SQLite and on PostgreSQL. Times are a fraction of the real times,
which test_storage_faults_live.py uses. The full disk is simulated by `max_page_count`, which only SQLite has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import URL, event
from sqlalchemy.exc import OperationalError

from microservices.chaos.invariants import violations_in
from microservices.chassis import database as of_a_service
from microservices.tests import postgresql
from microservices.tests.locking import TABLE, locked
from microservices.tests.shops import InProcessShop, Reply, observed, shop_in_process
from monolith.chassis import database as of_the_monolith

CUSTOMER, SKU, KEY = "C00001", "P00001", "key-00000001"
LOCK_TIMEOUT_MS = 800
SHORT_SECONDS = 0.2
DATABASES = [
    *(("split", "sqlite", part) for part in TABLE),
    *(("split", "postgresql", part) for part in ("orders", "inventory")),
    ("monolith", "sqlite", "orders"),
    ("monolith", "postgresql", "orders"),
]
MAX_PURCHASES = 200


@pytest.fixture(scope="module", autouse=True)
def short_lock_timeouts() -> Iterator[None]:
    with (
        patch.object(of_a_service, "LOCK_TIMEOUT_MS", LOCK_TIMEOUT_MS),
        patch.object(of_the_monolith, "LOCK_TIMEOUT_MS", LOCK_TIMEOUT_MS),
    ):
        yield


@pytest.fixture(scope="module")
def shops(short_lock_timeouts, tmp_path_factory) -> Iterator[Callable[[str, str], InProcessShop]]:
    """A shop by its name and its kind of database; each is made at its first use."""
    made: dict[tuple[str, str], InProcessShop] = {}
    with ExitStack() as stack:

        def shop(name: str, backend: str) -> InProcessShop:
            if (name, backend) not in made:
                pattern = stack.enter_context(postgresql.pattern_for(name, backend))
                made[name, backend] = stack.enter_context(
                    shop_in_process(name, tmp_path_factory.mktemp(name), pattern=pattern)
                )
            made[name, backend].reset_memory()
            return made[name, backend]

        yield shop


def database_of(shop: InProcessShop, part: str) -> URL:
    url: URL = shop.database(part).engine.url
    return url


def assert_invites_to_repeat_only_while_undecided(reply: Reply) -> None:
    assert ("Retry-After" in reply.headers) is not reply.is_final


_keys = iter(f"key-{number:08}" for number in range(10_000))


@pytest.mark.parametrize(("name", "backend", "part"), DATABASES)
def test_a_short_lock_is_waited_for(shops, backend, name, part):
    shop, key = shops(name, backend), next(_keys)
    assert shop.put_in_cart(CUSTOMER, SKU).status == 200
    with locked(database_of(shop, part), part, SHORT_SECONDS):
        started = time.monotonic()
        reply = shop.check_out(CUSTOMER, key)
        assert time.monotonic() - started > SHORT_SECONDS / 2, "it did not wait for anything"
    assert reply.status == 201
    shop.settle()
    assert violations_in(shop.snapshot(), [observed(CUSTOMER, key, reply)]) == []


@pytest.mark.parametrize(("name", "backend", "part"), DATABASES)
def test_a_long_lock_is_a_503_and_no_half_order(shops, backend, name, part):
    shop, key = shops(name, backend), next(_keys)
    assert shop.put_in_cart(CUSTOMER, SKU).status == 200
    with locked(database_of(shop, part), part):
        first = shop.check_out(CUSTOMER, key)
    if (name, part) == ("split", "cart"):  # the order is confirmed before its cart is emptied
        assert first.status == 201
    else:
        assert first.status == 503
        assert_invites_to_repeat_only_while_undecided(first)
    shop.settle()
    again = shop.check_out(CUSTOMER, key)
    assert again.status in {201, 503}
    shop.settle()
    assert (
        violations_in(shop.snapshot(), [observed(CUSTOMER, key, first), observed(CUSTOMER, key, again)]) == []
    )


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
@pytest.mark.parametrize("name", ["split", "monolith"])
def test_a_locked_database_can_still_be_read(shops, backend, name):
    shop = shops(name, backend)
    with locked(database_of(shop, "inventory"), "inventory"):
        assert shop.ask(CUSTOMER, "GET", f"/api/inventory/{SKU}").status == 200


@contextmanager
def full_disk(shop: InProcessShop, part: str) -> Iterator[None]:
    """The database of a service cannot grow while the block runs; its connections stay open."""
    engine = shop.database(part).engine
    limit = 1  # fewer than there are, which SQLite takes as: no more than there are

    def set_limit(connection: Any, *_: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={limit}")

    event.listen(engine, "checkout", set_limit)
    yield
    limit = 2**30  # set on each connection at its next use


@pytest.mark.parametrize(
    ("name", "part"),
    [("split", "orders"), ("split", "inventory"), ("split", "payments"), ("monolith", "orders")],
)
def test_a_full_disk_is_a_503_and_no_half_order(shops, name, part):
    shop = shops(name, "sqlite")
    before = shop.snapshot()
    answers: list[tuple[str, Reply]] = []
    with full_disk(shop, part):
        while not answers or answers[-1][1].status == 201:
            assert len(answers) < MAX_PURCHASES, "the disk did not get full"
            assert shop.put_in_cart(CUSTOMER, SKU).status == 200
            answers.append((key := next(_keys), shop.check_out(CUSTOMER, key)))
            shop.set_stock(SKU, 1000)
        assert answers[-1][1].status == 503
        assert_invites_to_repeat_only_while_undecided(answers[-1][1])
        with suppress(OperationalError):
            shop.settle()
        for sentence in violations_in(shop.snapshot(), [observed(CUSTOMER, *one) for one in answers]):
            assert sentence.startswith(("I4", "I6")), sentence
    # There is space again. No process is restarted.
    shop.reset_memory()
    shop.settle()
    answers += [(key, shop.check_out(CUSTOMER, key)) for key, _ in answers]
    assert shop.put_in_cart(CUSTOMER, SKU).status == 200
    answers.append((key := next(_keys), shop.check_out(CUSTOMER, key)))
    assert answers[-1][1].status == 201
    shop.settle()
    assert violations_in(shop.snapshot(), [observed(CUSTOMER, *one) for one in answers]) == []
    assert len(shop.snapshot().orders) > len(before.orders)
