"""Gates in full: replicas come, go, die and stand still, and no request fails."""

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
from microservices.tests.gates import in_time, split, under_load

pytestmark = [pytest.mark.processes, pytest.mark.full, pytest.mark.timed]

ROUNDS = 3
SCALED = ("recommendations", "orders", "storefront")
PAUSE_SECONDS = 10.0
PATHS = ("/api/products/P00004", "/products/P00004", "/api/products?category=tea", "/search?q=a")


def test_rolling_restarts_of_all_services_fail_no_request(tmp_path):
    two_of_each = {service.name: 2 for service in SPLIT.services}
    with split(tmp_path, two_of_each) as arena, under_load(arena) as crowd:
        happened = [crowd.suffer(Fault("restart", name)) for _ in range(ROUNDS) for name in two_of_each]
        lost = [one for one in happened if one.failed_attempts or one.failed_requests]
        print(f"{len(happened)} rolling restarts, {sum(one.attempts for one in happened)} requests")  # noqa: T201
        assert lost == []


def test_scaling_up_to_four_and_down_again_fails_no_request(tmp_path):
    with split(tmp_path) as arena, under_load(arena) as crowd:
        happened = [crowd.suffer(Fault("scale", name)) for _ in range(ROUNDS) for name in SCALED]
        lost = [one for one in happened if one.failed_attempts or one.failed_requests]
        print(f"{len(happened)} times 1, 4, 1, {sum(one.attempts for one in happened)} requests")  # noqa: T201
        assert lost == []


@pytest.mark.parametrize("service", ["catalog", "storefront"])
def test_of_four_replicas_one_is_killed_and_one_paused_and_no_get_fails(tmp_path, service):
    """Without repeats by the client: the gateway and the callers see to it."""
    history = History()
    end = threading.Event()

    def ask(path: str) -> None:
        client = Client(arena.port, history, "asker")
        while not end.wait(0.02):
            client.send("GET", path)
        client.close()

    with ExitStack() as stack:
        arena = stack.enter_context(split(tmp_path, {service: 4}))
        figures = stack.enter_context(in_time(arena))
        askers = [threading.Thread(target=ask, args=(path,)) for path in PATHS for _ in range(2)]
        for asker in askers:
            asker.start()
        stack.callback(lambda: [asker.join() for asker in askers])
        stack.callback(end.set)
        wait_until(lambda: len(history.attempts) > 100)
        replicas = arena.fleet.replicas(service)
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
