"""The fault gates in seconds, for every run of the tests; `test_gates_full_*` are the same in full, for `make chaos`.

One split shop under load is broken in every kind of way, and I1 to I6 are checked once it has settled.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from microservices.chaos.arena import Arena
from microservices.chaos.crowd import Crowd
from microservices.chaos.faults import Fault, paused
from microservices.tests.conftest import wait_until
from microservices.tests.gates import split, under_load

pytestmark = [pytest.mark.processes, pytest.mark.timed]
PAUSE_SECONDS = 3.0
"""Longer than a request may take, shorter than the gateway needs to see that a replica stands still."""


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with split(tmp_path_factory.mktemp("arena"), {"catalog": 2}) as arena:
        yield arena


@pytest.fixture(scope="module")
def crowd(arena: Arena) -> Iterator[Crowd]:
    with under_load(arena) as crowd:
        yield crowd


@pytest.fixture(autouse=True)
def everybody_is_served(crowd: Crowd) -> None:
    """The fault of the test before must not count in this one: some find only now that their connection is dead."""

    def calm() -> bool:
        lately = crowd.load.history.since(time.monotonic() - 1.0)
        return len(lately) > 20 and not any(attempt.failed for attempt in lately)

    wait_until(calm)


@pytest.mark.parametrize("target", ["orders", "gateway"])
def test_what_is_killed_under_load_is_started_again_and_all_is_well(arena, crowd, target):
    assert crowd.suffer(Fault("kill", target)).recovered is not None
    label = "gateway" if target == "gateway" else f"{target}-1"
    assert any(text.startswith(f"{label} died (SIGKILL); starting it again") for _, text in arena.said)


def test_a_rolling_restart_fails_no_request(arena, crowd):
    before = {replica.pid for replica in arena.fleet.replicas("catalog")}
    happened = crowd.suffer(Fault("restart", "catalog"))
    assert (happened.failed_attempts, happened.failed_requests) == (0, 0)
    assert not before & {replica.pid for replica in arena.fleet.replicas("catalog")}


def test_one_of_two_replicas_is_paused_and_nothing_is_lost(arena, crowd):
    """Pages, carts and checkouts ask the catalog through the gateway, which does not know of the pause for seconds."""
    began = time.monotonic()
    with paused(arena.fleet.replicas("catalog")[:1]):
        wait_until(
            lambda: time.monotonic() > began + PAUSE_SECONDS and len(crowd.load.history.since(began)) > 50
        )
    assert crowd.prober.well_after(began, 30.0) is not None
    assert [attempt for attempt in crowd.load.history.since(began) if attempt.failed] == []


@pytest.mark.parametrize("target", ["payments", "catalog"])
def test_answers_that_nobody_agreed_on_are_no_500_and_break_nothing(crowd, target):
    happened = crowd.suffer(Fault("answers JSON that nobody agreed on", target, 1.0))
    assert happened.recovered is not None
    assert crowd.load.history.statuses()["500"] == 0
