"""The fault gates in seconds, for `make test`; the other `test_gates_*` have them in full, for `make chaos`.

Each kind of fault is injected into one split shop under load. I1 to I6 are checked once it has settled.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from microservices.chaos.faults import BAD_CLIENT, GATEWAY, Fault, paused
from microservices.chaos.run import ChaosRun
from microservices.chaos.shop_under_test import ShopUnderTest
from microservices.tests.conftest import wait_until
from microservices.tests.gates import split, under_load

pytestmark = [pytest.mark.processes, pytest.mark.timed]
PAUSE_SECONDS = 3.0
"""Longer than a request may take, shorter than the gateway needs to notice that a replica is paused."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopUnderTest]:
    with split(tmp_path_factory.mktemp("shop"), {"catalog": 2}) as shop:
        yield shop


@pytest.fixture(scope="module")
def run(shop: ShopUnderTest) -> Iterator[ChaosRun]:
    with under_load(shop) as run:
        yield run


@pytest.fixture(autouse=True)
def every_request_succeeds(run: ChaosRun) -> None:
    """Wait out the fault of an earlier test: some clients notice only now that their connection is closed."""

    def no_request_fails() -> bool:
        recent = run.load.history.since(time.monotonic() - 1.0)
        return len(recent) > 20 and not any(attempt.failed for attempt in recent)

    wait_until(no_request_fails)


@pytest.mark.parametrize("target", ["orders", "gateway"])
def test_a_process_that_is_killed_under_load_is_restarted_and_the_shop_recovers(shop, run, target):
    assert run.inject(Fault("kill", target)).recovered is not None
    label = "gateway" if target == "gateway" else f"{target}-1"
    assert any(text.startswith(f"{label} died (SIGKILL); starting it again") for _, text in shop.messages)


def test_a_bad_client_fails_no_request_of_others(run):
    result = run.inject(Fault(BAD_CLIENT, GATEWAY, seconds=8.0))
    assert result.attempts > 100
    assert (result.failed_attempts, result.failed_requests) == (0, 0)


def test_a_rolling_restart_fails_no_request(shop, run):
    before = {replica.pid for replica in shop.fleet.replicas("catalog")}
    result = run.inject(Fault("restart", "catalog"))
    assert (result.failed_attempts, result.failed_requests) == (0, 0)
    assert not before & {replica.pid for replica in shop.fleet.replicas("catalog")}


def test_when_one_of_two_replicas_is_paused_no_request_fails(shop, run):
    """Pages, carts and checkouts call the catalog through the gateway, which notices the pause only after seconds."""
    began = time.monotonic()
    with paused(shop.fleet.replicas("catalog")[:1]):
        wait_until(
            lambda: time.monotonic() > began + PAUSE_SECONDS and len(run.load.history.since(began)) > 50
        )
    assert run.prober.wait_until_healthy(began, 30.0) is not None
    assert [attempt for attempt in run.load.history.since(began) if attempt.failed] == []


@pytest.mark.parametrize("target", ["payments", "catalog"])
def test_unexpected_json_from_a_service_causes_no_500_and_the_shop_recovers(run, target):
    result = run.inject(Fault("answers unexpected JSON", target, 1.0))
    assert result.recovered is not None
    assert run.load.history.statuses()["500"] == 0
