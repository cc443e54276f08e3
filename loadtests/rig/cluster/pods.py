"""Pods and the kubelet's readings of them, from the JSON of the API. Pure.

A reading has a time of its own, which is easy to get wrong: the kubelet looks at each pod every ten seconds or so and
answers with what it saw last. Its times are whole seconds, rounded down.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from loadtests.rig.cluster.api import Object

HALF_A_SECOND = 0.5
"""A time of whole seconds means any moment of that second; its middle is wrong by at most this."""


@dataclass(frozen=True)
class Pod:
    """A pod that runs or starts. `workload` is the name of its Deployment or StatefulSet. Times are Unix times."""

    uid: str
    name: str
    workload: str
    node: str
    started: float
    """When its node began to start it."""
    ready_since: float | None
    """None while it is not ready."""
    going: bool
    """Whether it is to end."""
    restarts: int
    exit_status: int
    """Of the container that ended last; 0 while none has."""
    waits_for: str
    """Why it is not ready, as the cluster says; empty where it says nothing."""


@dataclass(frozen=True)
class Reading:
    """What a kubelet saw of a pod at the Unix time `at`: its CPU seconds so far, and bytes of memory."""

    uid: str
    at: float
    cpu: float
    memory: int


def pods_of(objects: Iterable[Object]) -> list[Pod]:
    """The pods that serve, oldest first: neither those of jobs nor those that have ended."""
    serving = [
        each
        for each in objects
        if _owner(each)[0] != "Job" and each["status"].get("phase") not in {"Succeeded", "Failed"}
    ]
    in_order = sorted(
        serving, key=lambda each: (each["metadata"]["creationTimestamp"], each["metadata"]["name"])
    )
    return [_pod(each) for each in in_order]


def readings_of(summary: Object, namespace: str) -> Iterator[Reading]:
    """The readings of the namespace's pods in a kubelet's summary. A pod that has just started has none yet.

    Memory is the anonymous memory, which belongs to the pod alone: pages of files may be charged to any of the pods
    that read them.
    """
    for each in summary.get("pods", ()):
        cpu, memory = each.get("cpu") or {}, each.get("memory") or {}
        if each["podRef"]["namespace"] == namespace and "usageCoreNanoSeconds" in cpu:
            yield Reading(
                each["podRef"]["uid"],
                seconds(cpu["time"]) + HALF_A_SECOND,
                cpu["usageCoreNanoSeconds"] / 1e9,
                memory.get("rssBytes", 0),
            )


def seconds(timestamp: str) -> float:
    """The Unix time of a timestamp of the API."""
    return datetime.fromisoformat(timestamp).timestamp()


def _pod(of: Object) -> Pod:
    metadata, status = of["metadata"], of["status"]
    containers = status.get("containerStatuses", [])
    ready: Object = next((each for each in status.get("conditions", ()) if each["type"] == "Ready"), {})
    is_ready = ready.get("status") == "True"
    ended = [
        each["lastState"]["terminated"] for each in containers if each.get("lastState", {}).get("terminated")
    ]
    return Pod(
        uid=metadata["uid"],
        name=metadata["name"],
        workload=_owner(of)[1],
        node=of["spec"].get("nodeName", ""),
        started=seconds(status.get("startTime") or metadata["creationTimestamp"]),
        ready_since=seconds(ready["lastTransitionTime"]) if is_ready else None,
        going="deletionTimestamp" in metadata,
        restarts=sum(each["restartCount"] for each in containers),
        exit_status=ended[-1]["exitCode"] if ended else 0,
        waits_for="" if is_ready else _waits_for(status),
    )


def _owner(of: Object) -> tuple[str, str]:
    """Kind and name of what the pod belongs to; its Deployment instead of the ReplicaSet between them."""
    metadata = of["metadata"]
    owner = next((each for each in metadata.get("ownerReferences", ()) if each.get("controller")), None)
    if owner is None:
        return "Pod", metadata["name"]
    if owner["kind"] == "ReplicaSet":
        return "Deployment", owner["name"].removesuffix("-" + metadata["labels"]["pod-template-hash"])
    return owner["kind"], owner["name"]


def _waits_for(status: Object) -> str:
    """`ImagePullBackOff` of a container, or why no node takes the pod."""
    states = [each.get("state", {}).get("waiting") or {} for each in status.get("containerStatuses", ())]
    reasons = [each["reason"] for each in states if "reason" in each]
    unplaced = [
        each.get("message", "")
        for each in status.get("conditions", ())
        if each.get("reason") == "Unschedulable"
    ]
    return next(iter([*unplaced, *reasons]), "")
