"""Our autoscaler beside Kubernetes' own: the same situations, the same decisions.

`python -m microservices.autoscaler.recording FILE` made the recording. Each of its rows holds a policy, pods, what they
used at each look of the controller, and how many replicas the controller wanted then.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from microservices.autoscaler.decision import decide
from microservices.autoscaler.limits import History
from microservices.autoscaler.policy import parse_policies
from microservices.autoscaler.recording.situations import all_situations
from microservices.autoscaler.replica_count import Pod, Usage

RECORDING = json.loads((Path(__file__).parent / "kube-controller-manager.json").read_text(encoding="utf-8"))
WINDOW = RECORDING["window_seconds"]
ROWS = {row["name"]: row for row in RECORDING["situations"]}
SITUATIONS = all_situations()
SAME = [situation.name for situation in SITUATIONS if not situation.later]
CHANGED_LATER = [situation.name for situation in SITUATIONS if situation.later]


def policy_of(row):
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "hot"}
    document = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "hot"},
        "spec": row["spec"] | {"scaleTargetRef": target},
    }
    (policy,) = parse_policies(yaml.safe_dump(document), "the recording")
    return replace(policy, request=row["request"])


def pods_of(row, look):
    return [
        Pod(
            f"hot-{number}",
            None if usage is None else Usage(usage, look["measured_at"], WINDOW),
            ready=facts["ready"],
            started_at=facts["started"],
            ready_changed_at=facts["ready_changed"],
            leaving=facts["deleted"] or facts["phase"] == "Failed",
            pending=facts["phase"] == "Pending",
        )
        for number, (facts, usage) in enumerate(zip(row["pods"], look["usage"], strict=True))
    ]


def decisions(row):
    """Ours, beside the recorded ones: (replicas, measurement or None) for each look."""
    policy, history, ours, theirs = policy_of(row), History(), [], []
    if not row["looks"] or row["looks"][0]["current"] != row["replicas"]:
        # The controller decided before it asked for any measurement.
        ours.append((decide(policy, history, [], row["replicas"], 0.0).desired, None))
        theirs.append((row["looks"][0]["current"] if row["looks"] else row["end"], None))
    for look in row["looks"]:
        made = decide(policy, history, pods_of(row, look), look["current"], look["at"])
        measured = look.get("measured")
        if isinstance(measured, str):
            measured = int(measured.removesuffix("m")) if measured.endswith("m") else int(measured) * 1000
        ours.append((made.desired, None if measured is None else made.measured))
        theirs.append((look["desired"], measured))
    return ours, theirs


@pytest.mark.parametrize("name", SAME)
def test_the_same_is_decided(name):
    ours, theirs = decisions(ROWS[name])
    assert ours == theirs


@pytest.mark.parametrize("name", CHANGED_LATER)
def test_where_later_versions_changed_ours_is_not_the_recorded_one(name):
    ours, theirs = decisions(ROWS[name])
    assert ours != theirs, "the reason that the situation gives for a difference is not needed"


def test_at_least_a_hundred_situations_are_compared():
    assert len(SAME) >= 100


def test_the_recording_is_of_the_situations_as_they_are_and_names_the_version():
    wanted = {situation.name: [list(look) for look in situation.looks] for situation in SITUATIONS}
    assert {name: [look["usage"] for look in row["looks"]] for name, row in ROWS.items()} == wanted
    assert RECORDING["controller"].startswith("kube-controller-manager v")


def test_the_recording_has_decisions_of_all_kinds():
    changes = [look["desired"] - look["current"] for row in ROWS.values() for look in row["looks"]]
    assert min(sum(change > 0 for change in changes), sum(change < 0 for change in changes)) >= 30
