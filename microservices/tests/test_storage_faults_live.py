"""A database that is locked for three and for eight seconds, with real processes and real times; in `make chaos`.

The shop waits three seconds for a lock, and no request fails. After eight, a request that needs the database gets a 503
with Retry-After. In the split shop, a checkout that calls a service with a locked database ends earlier, at the
deadline of the request.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from microservices.chaos.snapshot import ObservedCheckout
from microservices.tests.live import LiveShop, running_shop
from microservices.tests.locking import TABLE, locked
from microservices.tests.postgresql import pattern_for
from microservices.tests.shops import observed

pytestmark = [pytest.mark.processes, pytest.mark.full]

SHORT, LONG = 3.0, 8.0
CUSTOMER, SKU = "C00001", "P00001"
SETTLED_SECONDS = 40.0
_keys = iter(f"key-{number:08}" for number in range(1000))


DATABASES = [
    *((f"split {backend}", part) for backend in ("sqlite", "postgresql") for part in TABLE),
    *((f"monolith {backend}", "orders") for backend in ("sqlite", "postgresql")),  # one database for all
]


@pytest.fixture(scope="module")
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveShop]:
    name, backend = request.param.split()
    home = tmp_path_factory.mktemp(name)
    # A timeout longer than the short lock: with the usual two seconds a checkout would end before the lock does.
    with (
        pattern_for(name, backend) as pattern,
        running_shop(name, home, pattern=pattern, SHOP_TIMEOUT_SECONDS="4", SHOP_THREADS="3") as shop,
    ):
        yield shop


@pytest.mark.parametrize(("shop", "part"), DATABASES, indirect=["shop"])
def test_a_lock_of_three_seconds_is_waited_for(shop, part):
    shop.put_in_cart(CUSTOMER, SKU)
    key = next(_keys)
    with locked(shop.database(part), part, SHORT):
        started = time.monotonic()
        reply = shop.check_out(CUSTOMER, key)
        waited = time.monotonic() - started
    assert reply is not None
    assert reply.status == 201, reply
    assert waited > SHORT / 2, "it did not wait for anything"
    shop.settle([observed(CUSTOMER, key, reply)], SETTLED_SECONDS)


@pytest.mark.parametrize(("shop", "part"), DATABASES, indirect=["shop"])
def test_a_lock_of_eight_seconds_is_a_refusal_with_retry_after(shop, part):
    shop.put_in_cart(CUSTOMER, SKU)
    key, checkouts = next(_keys), list[ObservedCheckout]()
    with locked(shop.database(part), part, LONG):
        reply = shop.check_out(CUSTOMER, key)
        assert reply is not None
        checkouts.append(observed(CUSTOMER, key, reply))
        if part == "orders":
            assert (reply.status, reply.headers.get("Retry-After")) == (503, "1")
        elif part == "cart":  # the order is confirmed before its cart is emptied
            assert reply.status == 201
        else:
            assert reply.status in {503, 504}, reply
    again = shop.final_reply(CUSTOMER, key, seconds=SETTLED_SECONDS, checkouts=checkouts)
    assert again.replayed or again.status in {201, 402}, again
    assert again.status == 201 or part != "orders"
    shop.settle(checkouts, SETTLED_SECONDS)
