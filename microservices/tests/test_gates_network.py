"""Gates in full: a service that is slow, hangs, is dead or answers wrongly does not take the others down."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from loadtests.analysis.stats import ratio
from loadtests.analysis.summaries import percentile
from microservices.chaos.client import Client, History
from microservices.chaos.faults import BAD_CLIENT, GATEWAY, NETWORK, Fault, injected
from microservices.chaos.load import GOOD_CARD, PLENTY, Buyer
from microservices.chaos.monitor import DEGRADED
from microservices.chaos.shop_under_test import ShopUnderTest
from microservices.chaos.snapshot import TERMINAL
from microservices.tests.conftest import wait_until
from microservices.tests.gates import split, under_load, within_bounds

pytestmark = [pytest.mark.processes, pytest.mark.full, pytest.mark.timed]

DEADLINE, MARGIN = 2.0, 0.25
PAGE_SECONDS, BREAKER_CALLS = 0.5, 20
ROUNDS, ROUND_SECONDS = 4, 4.0
MAX_SLOWER, MAX_ATTEMPTS, RECOVERY_SECONDS = 1.10, 1.1, 5.0
OUTAGE_SECONDS = 30.0
PAGE = f"/products/{PLENTY[0]}"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopUnderTest]:
    with split(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture
def client(shop: ShopUnderTest) -> Iterator[Client]:
    client = Client(shop.port, History(), "reader")
    yield client
    client.close()


@pytest.fixture
def buyer(shop: ShopUnderTest) -> Iterator[Buyer]:
    """A customer of a healthy shop, whatever an earlier test did to it."""
    buyer = Buyer(shop.port, History(), random.Random(1))
    wait_until(lambda: _page(buyer) == (200, False) and buyer.buy(PLENTY[0]) == "ok", 30.0)
    yield buyer
    buyer.close()


def test_a_minute_with_a_bad_client_fails_no_request_of_others(shop: ShopUnderTest) -> None:
    with under_load(shop) as run:
        result = run.inject(Fault(BAD_CLIENT, GATEWAY, seconds=60.0))
    assert result.attempts > 1000
    assert (result.failed_attempts, result.failed_requests) == (0, 0)


def _page(client: Client) -> tuple[int | None, bool]:
    """The status of a product page, and whether it shows bestsellers instead of recommendations."""
    reply = client.send("GET", PAGE)
    return (reply.status, DEGRADED in reply.body) if reply else (None, False)


@contextmanager
def _broken_recommendations(shop: ShopUnderTest, how: str) -> Iterator[None]:
    if how != "dead":
        with injected(Fault(how, "recommendations"), shop):
            yield
        return
    shop.fleet.scale("recommendations", 0)
    try:
        yield
    finally:
        shop.fleet.scale("recommendations", 1)


def _checkout_p95(shop: ShopUnderTest, buyer: Buyer) -> float:
    """The 95th percentile of the checkouts of a few seconds, while two readers request product pages."""
    end, history = threading.Event(), History()

    def look() -> None:
        client = Client(shop.port, history, "reader")
        while not end.wait(0.05):
            client.send("GET", PAGE)
        client.close()

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    until, before = time.monotonic() + ROUND_SECONDS, len(buyer.history.attempts)
    while time.monotonic() < until:
        assert buyer.buy(PLENTY[0]) == "ok"
    end.set()
    for reader in readers:
        reader.join()
    checkouts = [one for one in buyer.history.attempts[before:] if one.what == "POST /api/orders"]
    return percentile([one.seconds for one in checkouts], 0.95)


@pytest.mark.parametrize("how", ["is 3 s late", "hangs", "dead"])
def test_broken_recommendations_do_not_slow_checkouts(shop, buyer, how):
    healthy, broken = [], []
    for _ in range(ROUNDS):
        healthy.append(_checkout_p95(shop, buyer))
        with _broken_recommendations(shop, how):
            broken.append(_checkout_p95(shop, buyer))
    slower = ratio(broken, healthy)
    said = f"p95 of checkouts, {how}: {slower.value:.2f} ({slower.low:.2f} - {slower.high:.2f}), gate {MAX_SLOWER}"
    print(said)  # noqa: T201
    if slower.value > MAX_SLOWER and slower.covers(MAX_SLOWER):
        pytest.skip(f"inconclusive: {said}")
    assert slower.value <= MAX_SLOWER


@pytest.mark.parametrize("how", ["is 3 s late", "hangs", "dead"])
def test_pages_show_bestsellers_at_once_while_the_breaker_is_open(shop, buyer, client, how):
    labels = ("upstream_calls_total", 'upstream="recommendations"', 'outcome="refused-by-breaker"')
    with within_bounds(shop) as figures:
        with _broken_recommendations(shop, how):
            refused = shop.counter("storefront", *labels)
            calls = [_page(client) for _ in range(BREAKER_CALLS)]
            assert set(calls) == {(200, True)}
            assert shop.counter("storefront", *labels) > refused, "the breaker is not open after 20 calls"
            client.history.attempts.clear()
            assert {_page(client) for _ in range(50)} == {(200, True)}
            pages = [one.seconds for one in client.history.attempts]
            # Once a second a page makes the breaker's trial call, and waits half a second for it.
            figures.append((f"p95 of pages, {how}", percentile(pages, 0.95), PAGE_SECONDS))
        ended = time.monotonic()
        wait_until(lambda: _page(client) == (200, False), 30.0)
        figures.append(
            (f"seconds until the breaker closes, {how}", time.monotonic() - ended, RECOVERY_SECONDS)
        )


def test_a_payment_slower_than_the_timeout_is_pending_then_decided_with_at_most_one_capture(shop, buyer):
    key = "slow-payment-1"
    replies = []
    paying = threading.Thread(target=lambda: replies.append(_check_out_once(buyer, key)))

    def stored():
        return next((order for order in shop.snapshot().orders if order["key"] == key), None)

    with injected(Fault("is 3 s late", "payments"), shop):
        assert buyer.ask("PUT", f"/api/cart/items/{PLENTY[0]}", {"quantity": 1})
        paying.start()
        wait_until(lambda: stored() is not None and stored()["step"] == "priced")
        paying.join()
    ((status, seconds),) = replies
    assert status == 504
    assert seconds <= DEADLINE + MARGIN
    wait_until(lambda: stored()["step"] in TERMINAL, 30.0)
    payment = shop.snapshot().payments.get(stored()["id"], {"captured_cents": 0, "refunded_cents": 0})
    assert payment["captured_cents"] in {0, stored()["total_cents"]}
    assert (stored()["step"] == "settled") == (payment["captured_cents"] > payment["refunded_cents"])
    repeated = buyer.check_out(key, GOOD_CARD)
    assert (repeated.status, repeated.is_replay) == (504, True)


def _check_out_once(buyer: Buyer, key: str) -> tuple[int | None, float]:
    began = time.monotonic()
    reply = buyer.send("POST", "/api/orders", {"card_number": GOOD_CARD}, Idempotency_Key=key)
    return reply.status if reply else None, time.monotonic() - began


@pytest.mark.parametrize("fault", NETWORK)
def test_with_a_bad_network_before_the_catalog_every_request_ends_within_bounds_with_a_known_status(
    shop, buyer, fault
):
    history = History()

    def ask(method, path, body):
        client = Client(shop.port, history, "reader")
        client.headers = buyer.headers
        client.send(method, path, body, Idempotency_Key=f"bad-{uuid.uuid4().hex}")
        client.close()

    requests = [
        ("GET", PAGE, None),
        ("GET", "/", None),
        ("GET", "/api/cart", None),
        ("PUT", f"/api/cart/items/{PLENTY[1]}", {"quantity": 1}),
        ("POST", "/api/orders", {"card_number": GOOD_CARD}),
    ]
    with within_bounds(shop) as figures:
        with injected(Fault(fault, "catalog"), shop):
            threads = [threading.Thread(target=ask, args=request) for request in requests]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        statuses = {one.what: one.status for one in history.attempts}
        assert len(statuses) == len(requests)
        assert set(statuses.values()) <= {200, 201, 409, 502, 503, 504}, statuses
        slowest = max(one.seconds for one in history.attempts)
        figures.append((f"slowest answer while the catalog {fault}", slowest, DEADLINE + MARGIN))


@pytest.mark.parametrize("target", ["catalog", "payments"])
def test_half_a_minute_of_503_does_not_multiply_calls_and_the_shop_recovers_quickly(shop, target):
    callers = [service for service in shop.fleet.topology.services if target in service.needs]

    def counted(metric):
        return sum(shop.counter(one.name, metric, f'upstream="{target}"') for one in callers)

    with within_bounds(shop) as figures, under_load(shop) as run:
        calls, attempts = counted("upstream_calls_total"), counted("upstream_attempts_total")
        result = run.inject(Fault("answers 503", target, OUTAGE_SECONDS))
        calls = counted("upstream_calls_total") - calls
        attempts = counted("upstream_attempts_total") - attempts
        assert calls > 100
        assert attempts / calls <= MAX_ATTEMPTS
        print(f"{target}: {attempts:.0f} attempts for {calls:.0f} calls")  # noqa: T201
        figures.append(
            (f"seconds until the shop is healthy after {target}", result.recovered, RECOVERY_SECONDS)
        )
