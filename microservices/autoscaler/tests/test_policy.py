"""HorizontalPodAutoscaler files: what is read, and what is refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from microservices.autoscaler.loop import prepared
from microservices.autoscaler.policy import (
    DEFAULT_DOWN,
    DEFAULT_UP,
    Behavior,
    Limit,
    Policy,
    PolicyError,
    Rules,
    millicores,
    read_policies,
)
from microservices.topology import MONOLITH, SPLIT

REPOSITORY = Path(__file__).resolve().parents[3]

HEAD = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: recommendations}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: recommendations}
  minReplicas: 1
  maxReplicas: 4
"""
DEPLOYMENT = """
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: recommendations}
spec:
  template:
    spec:
      containers: [{name: shop, resources: {requests: {cpu: 300m}}}]
"""


@pytest.fixture
def read(tmp_path):
    def reader(text):
        file = tmp_path / "policy.yaml"
        file.write_text(text, encoding="utf-8")
        return read_policies(file)

    return reader


def test_a_file_without_metrics_and_behavior_gets_the_defaults_of_the_api(read):
    assert read(HEAD) == [Policy("recommendations", 1, 4, utilization=80)]


def test_the_request_comes_from_the_deployment_in_the_same_file(read):
    assert [policy.request for policy in read(HEAD + DEPLOYMENT)] == [300]


def test_a_target_can_be_millicores_per_replica(read):
    metric = "  metrics: [{type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 250m}}}]"
    [policy] = read(HEAD + metric)
    assert (policy.utilization, policy.average_value) == (None, 250)


def test_what_a_behavior_leaves_out_has_the_defaults_of_the_api(read):
    [policy] = read(
        HEAD
        + """
  behavior:
    scaleDown:
      stabilizationWindowSeconds: 20
      tolerance: 0.05
    scaleUp:
      selectPolicy: Min
      policies: [{type: Pods, value: 2, periodSeconds: 10}]
"""
    )
    up = Rules(DEFAULT_UP.window_seconds, (Limit("Pods", 2, 10),), "Min")
    assert policy.behavior == Behavior(up, Rules(20, DEFAULT_DOWN.limits, tolerance=0.05))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: Service", "kind is 'Service'"),
        ("[1, 2]", "the file is not a mapping"),
        ("a: b: c", "is not YAML"),
        ("", "has no HorizontalPodAutoscaler"),
        (DEPLOYMENT, "has no HorizontalPodAutoscaler"),
        (HEAD + "---" + HEAD, "two policies scale the same Deployment"),
        (HEAD.replace("autoscaling/v2", "autoscaling/v1"), "apiVersion is 'autoscaling/v1'"),
        (HEAD.replace("minReplicas: 1", "minReplicas: 0"), "a whole number from 1 to 4"),
        (HEAD.replace("minReplicas: 1", "minReplicas: 5"), "a whole number from 1 to 4"),
        (HEAD.replace("maxReplicas: 4", "maxReplicas: '4'"), "spec.maxReplicas is '4'"),
        (HEAD.replace("  maxReplicas: 4\n", ""), "spec has no maxReplicas"),
        (HEAD.replace("kind: Deployment", "kind: StatefulSet"), "here it can be Deployment"),
        (HEAD + "  sessionAffinity: x", "spec asks for sessionAffinity"),
        (HEAD + "  metrics: [{type: Pods}]", "spec.metrics[0].type is 'Pods'"),
        (HEAD + "  metrics: [{type: Resource}, {type: Resource}]", "measures CPU only"),
        (
            HEAD + "  metrics: [{type: Resource, resource: {name: memory, target: {}}}]",
            "resource.name is 'memory'; here it can be cpu",
        ),
        (
            HEAD
            + "  metrics: [{type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: much}}}]",
            "averageValue is 'much'; write it as 250m or 0.25",
        ),
        (HEAD + "  behavior: {scaleUp: {policies: []}}", "policies is empty"),
        (HEAD + "  behavior: {scaleUp: {tolerance: -1}}", "tolerance is -1"),
        (HEAD + "  behavior: {scaleUp: {stabilizationWindowSeconds: 4000}}", "from 0 to 3600"),
        (
            HEAD + "  behavior: {scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 0}]}}",
            "periodSeconds is 0; write a whole number from 1 to 1800",
        ),
        (HEAD + DEPLOYMENT.replace("300m", "lots"), "requests 'lots' of CPU"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_one_sentence(read, text, words):
    with pytest.raises(PolicyError) as refused:
        read(text)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PolicyError, match=r"no-such-file\.yaml cannot be read"):
        read_policies(tmp_path / "no-such-file.yaml")


@pytest.mark.parametrize(("text", "value"), [("250m", 250), ("0.5", 500), (2, 2000), (0.25, 250)])
def test_quantities_of_cpu_are_millicores(text, value):
    assert millicores(text) == value


@pytest.mark.parametrize(
    ("file", "topology"),
    [
        ("microservices/kubernetes/recommendations-autoscaler.yaml", SPLIT),
        ("monolith/kubernetes/monolith-autoscaler.yaml", MONOLITH),
    ],
)
def test_the_policies_that_come_with_the_shops_can_be_followed(file, topology):
    [policy] = read_policies(REPOSITORY / file)
    assert prepared(policy, topology, None).request == topology.service(policy.target).cpu_request
