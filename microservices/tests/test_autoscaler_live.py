"""The autoscaler on a real fleet: replicas come when the CPU is used, and go when it is not."""

from __future__ import annotations

import json

import pytest

from microservices.autoscaler import Autoscaler, Policy, PolicyError
from microservices.autoscaler.policy import Behavior, Limit, Rules
from microservices.tests.conftest import Traffic, public_port, wait_until

pytestmark = pytest.mark.processes

EVERY = 0.5
QUICK = Behavior(Rules(0, (Limit("Pods", 4, 1),)), Rules(1, (Limit("Percent", 100, 1),)))


def decisions(autoscaler):
    return [json.loads(line) for line in autoscaler.decisions_file.read_text().splitlines()]


@pytest.mark.timed
def test_replicas_follow_the_cpu_up_and_down_and_no_request_is_lost(start):
    fleet = start()
    policy = Policy("alpha", 1, 3, average_value=60, behavior=QUICK)
    traffic = Traffic(public_port(fleet))
    said = []
    with Autoscaler(fleet, [policy], sync_seconds=EVERY, say=said.append) as autoscaler:
        with traffic.flowing():
            wait_until(lambda: len(fleet.replicas("alpha")) == 3, seconds=20)
            wait_until(lambda: len(traffic.served_by) == 3)
        wait_until(lambda: len(fleet.replicas("alpha")) == 1, seconds=20)
        assert len(fleet.replicas("beta")) == 1
        assert autoscaler.report()[0].startswith("alpha: 1 → 1 replicas")
    assert traffic.failures == []
    assert any(decision["desired"] > decision["current"] for decision in decisions(autoscaler))
    assert any("above the target" in sentence for sentence in said)


@pytest.mark.timed
def test_a_number_set_by_hand_is_where_the_autoscaler_goes_on_from(start):
    fleet = start()
    with Autoscaler(fleet, [Policy("alpha", 1, 2, average_value=900, behavior=QUICK)], sync_seconds=EVERY):
        fleet.scale("alpha", 3)
        wait_until(lambda: len(fleet.replicas("alpha")) < 3, seconds=20)


def test_a_policy_for_a_service_that_is_not_there_is_refused(start):
    fleet = start()
    with pytest.raises(PolicyError, match="The policy scales gamma; the services are"):
        Autoscaler(fleet, [Policy("gamma", 1, 2, utilization=60)])


def test_a_policy_with_more_replicas_than_slots_is_refused(start):
    fleet = start()
    with pytest.raises(PolicyError, match="maxReplicas is 500: alpha cannot have 500 replicas"):
        Autoscaler(fleet, [Policy("alpha", 1, 500, utilization=60)])
