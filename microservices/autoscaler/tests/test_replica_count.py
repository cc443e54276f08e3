"""The calculation, in the situations that Kubernetes documents."""

from __future__ import annotations

import pytest

from microservices.autoscaler.policy import Policy
from microservices.autoscaler.replica_count import Pod, Usage, replicas_for

NOW = 10_000.0
WINDOW = 15.0
POLICY = Policy("hot", 1, 100, utilization=50, request=1000)


def pod(name, usage=None, **facts):
    measured = None if usage is None else Usage(usage, NOW, WINDOW)
    known = {"ready": True, "started_at": NOW - 1000, "ready_changed_at": NOW - 900} | facts
    return Pod(name, measured, **known)


def asked(*usages, policy=POLICY, current=None):
    pods = [pod(f"hot-{number}", usage) for number, usage in enumerate(usages)]
    return replicas_for(policy, pods, len(pods) if current is None else current, NOW).desired


def test_twice_the_target_asks_for_twice_the_replicas():
    assert asked(1000, 1000) == 4


def test_half_of_the_target_asks_for_half_of_the_replicas():
    assert asked(250, 250, 250, 250) == 2


def test_the_result_is_rounded_up():
    assert asked(600, 600, 600) == 4


@pytest.mark.parametrize("usage", [450, 500, 550])
def test_a_tenth_around_the_target_changes_nothing(usage):
    assert asked(usage, usage, usage) == 3


def test_percentages_are_cut_off_so_that_59_9_counts_as_59():
    assert asked(*[599] * 50) == 59


def test_an_average_value_is_compared_in_millicores():
    policy = Policy("hot", 1, 100, average_value=200)
    assert asked(300, 300, policy=policy) == 3


def test_without_any_measurement_nothing_is_decided():
    assert asked(None, None) is None


def test_a_replica_without_measurement_counts_as_idle_when_replicas_are_added():
    assert asked(1000, 1000, None) == 4


def test_a_replica_without_measurement_counts_as_busy_when_replicas_are_taken_away():
    assert asked(100, 100, None, current=3) == 3


def test_a_replica_that_is_not_ready_counts_as_idle_when_replicas_are_added():
    pods = [pod("hot-1", 2000), pod("hot-2", 900, ready=False, started_at=NOW - 5, ready_changed_at=NOW - 5)]
    assert replicas_for(POLICY, pods, 2, NOW).desired == 4


def test_a_replica_that_is_not_ready_is_left_out_when_replicas_are_taken_away():
    pods = [
        *(pod(f"hot-{number}", 100) for number in range(4)),
        pod("hot-9", 4000, ready=False, started_at=NOW - 5, ready_changed_at=NOW - 5),
    ]
    assert replicas_for(POLICY, pods, 5, NOW).desired == 1


def test_the_cpu_of_a_start_does_not_count_until_a_whole_window_was_ready():
    fresh = pod("hot-1", 4000, started_at=NOW - 20, ready_changed_at=NOW - WINDOW + 1)
    assert replicas_for(POLICY, [fresh], 1, NOW).desired is None
    settled = pod("hot-1", 4000, started_at=NOW - 20, ready_changed_at=NOW - WINDOW)
    assert replicas_for(POLICY, [settled], 1, NOW).desired == 8


def test_an_old_replica_that_is_overloaded_and_no_longer_ready_still_counts():
    drowning = pod("hot-1", 2000, ready=False, started_at=NOW - 1000, ready_changed_at=NOW - 10)
    assert replicas_for(POLICY, [drowning], 1, NOW).desired == 4


def test_a_replica_that_leaves_does_not_count():
    pods = [pod("hot-1", 500), pod("hot-2", 4000, leaving=True)]
    assert replicas_for(POLICY, pods, 1, NOW).desired == 1


def test_replicas_without_measurement_never_turn_the_direction():
    assert asked(600, None, None, None, current=4) == 4
