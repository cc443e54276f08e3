"""Gates in full: replicas are added, removed, killed and paused, and no request fails."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest

from microservices.chaos.client import Client, History
from microservices.chaos.faults import Fault, kill, paused
from microservices.launcher import SPLIT
from microservices.launcher.gateway import Settings
from microservices.tests.conftest import wait_until
from microservices.tests.gates import split, under_load, within_bounds

pytestmark = [pytest.mark.processes, pytest.mark.full, pytest.mark.timed]

ROUNDS = 3
SCALED = ("recommendations", "orders", "storefront")
PAUSE_SECONDS = 10.0
PATHS = ("/api/products/P00004", "/products/P00004", "/api/products?category=tea", "/search?q=a")


def test_rolling_restarts_of_all_services_fail_no_request(tmp_path):
    two_of_each = {service.name: 2 for service in SPLIT.services}
    with split(tmp_path, two_of_each) as shop, under_load(shop) as run:
        results = [run.inject(Fault("restart", name)) for _ in range(ROUNDS) for name in two_of_each]
        failed = [one for one in results if one.failed_attempts or one.failed_requests]
        print(f"{len(results)} rolling restarts, {sum(one.attempts for one in results)} requests")  # noqa: T201
        assert failed == []


def test_scaling_up_to_four_and_down_again_fails_no_request(tmp_path):
    with split(tmp_path) as shop, under_load(shop) as run:
        results = [run.inject(Fault("scale", name)) for _ in range(ROUNDS) for name in SCALED]
        failed = [one for one in results if one.failed_attempts or one.failed_requests]
        print(f"{len(results)} times 1, 4, 1, {sum(one.attempts for one in results)} requests")  # noqa: T201
        assert failed == []


@pytest.mark.parametrize("service", ["catalog", "storefront"])
def test_of_four_replicas_one_is_killed_and_one_paused_and_no_get_fails(tmp_path, service):
    """The client does not retry: the gateway and the calling services do."""
    history = History()
    end = threading.Event()

    def ask(path: str) -> None:
        client = Client(shop.port, history, "reader")
        while not end.wait(0.02):
            client.send("GET", path)
        client.close()

    with ExitStack() as stack:
        shop = stack.enter_context(split(tmp_path, {service: 4}))
        figures = stack.enter_context(within_bounds(shop))
        threads = [threading.Thread(target=ask, args=(path,)) for path in PATHS for _ in range(2)]
        for thread in threads:
            thread.start()
        stack.callback(lambda: [thread.join() for thread in threads])
        stack.callback(end.set)
        wait_until(lambda: len(history.attempts) > 100)
        replicas = shop.fleet.replicas(service)
        with paused(replicas[1:2]):
            kill(replicas[:1])
            time.sleep(PAUSE_SECONDS)
        wait_until(lambda: replicas[0].restarts == 1 and replicas[0].phase == "ready", 30.0)
        figures.append(
            (
                f"slowest of {len(history.attempts)} GETs",
                max(attempt.seconds for attempt in history.attempts),
                Settings().header_timeout + 0.5,
            )
        )
        assert [attempt for attempt in history.attempts if attempt.status != 200] == []
