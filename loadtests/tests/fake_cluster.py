"""A small API server on loopback, in front of a cluster that is only data: one namespace, one node, no pod really runs.

Answers have the shapes of the real API, as its reference documents them, with the fields that the lab reads. Pods are
ready at once. What takes a moment in a cluster takes one look here: a Deployment's controller sees a change, and a pod
that was deleted goes, after the next list.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from microservices.chaos.standin import Answer, Asked, StandIn

Json = dict[str, Any]
NAMESPACE = "shop"
NODE = "node-1"
MEMORY = 50_000_000
CORES = 0.25
"""What each pod uses."""
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: fake
contexts: [{{name: fake, context: {{cluster: fake, user: learner}}}}]
clusters: [{{name: fake, cluster: {{server: "{url}"}}}}]
users: [{{name: learner, user: {{token: secret}}}}]
"""


@dataclass
class FakePod:
    """A pod of a workload. `restarts` are those of its container."""

    name: str
    owner: Json
    labels: dict[str, str]
    started: float
    restarts: int = 0
    deleted: bool = False
    phase: str = "Running"
    ready: bool = True

    def as_json(self) -> Json:
        """As the API answers it."""
        ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}} if self.restarts else {}
        condition = {
            "type": "Ready",
            "status": str(self.ready),
            "lastTransitionTime": stamp(self.started),
        }
        return {
            "metadata": {
                "name": self.name,
                "namespace": NAMESPACE,
                "uid": f"uid-{self.name}",
                "creationTimestamp": stamp(self.started),
                "labels": self.labels,
                "ownerReferences": [{**self.owner, "controller": True}],
                **({"deletionTimestamp": stamp(time.time())} if self.deleted else {}),
            },
            "spec": {"nodeName": NODE},
            "status": {
                "phase": self.phase,
                "startTime": stamp(self.started),
                "conditions": [condition],
                "containerStatuses": [
                    {
                        "restartCount": self.restarts,
                        "lastState": ended,
                        "state": {} if self.ready else {"waiting": {"reason": "ImagePullBackOff"}},
                    }
                ],
            },
        }


@dataclass
class FakeCluster:
    """What the cluster holds, and how it differs from a good one. `asked` are the requests that changed something."""

    url: str = ""
    deployments: dict[str, Json] = field(default_factory=dict)
    pods: dict[str, FakePod] = field(default_factory=dict)
    autoscalers: dict[str, str] = field(default_factory=dict)
    """Name to Deployment."""
    denied: tuple[str, str] = ("", "")
    """A verb and a resource."""
    refused: dict[str, int] = field(default_factory=dict)
    """Begin of a path to the status of the answer."""
    service: Json = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    """Workloads whose pods the kubelet does not read."""
    ready: bool = True
    """Whether new pods become ready."""
    asked: list[tuple[str, str, str, Json]] = field(default_factory=list)
    """Method, path, content type, body."""
    clock: Callable[[], float] = time.time
    _names: Iterator[int] = field(default_factory=count)

    def add_deployment(self, name: str, replicas: int = 1, cpu_limit: str | None = None) -> None:
        """A Deployment with that many ready pods."""
        limits = {"limits": {"cpu": cpu_limit}} if cpu_limit else {}
        self.deployments[name] = {
            "metadata": {"name": name, "namespace": NAMESPACE, "generation": 1},
            "spec": {
                "replicas": replicas,
                "template": {"metadata": {}, "spec": {"containers": [{"name": name, "resources": limits}]}},
            },
            "status": {"observedGeneration": 1},
        }
        self._reconcile(name)

    def add_pod(self, kind: str, owner: str, phase: str = "Running") -> FakePod:
        """A pod of a StatefulSet, a Job or a ReplicaSet."""
        name = f"{owner}-{next(self._names)}"
        labels = {"pod-template-hash": owner.rpartition("-")[2]} if kind == "ReplicaSet" else {}
        started = self.clock()
        pod = FakePod(name, {"kind": kind, "name": owner}, labels, started, phase=phase, ready=self.ready)
        self.pods[name] = pod
        return pod

    def of(self, deployment: str) -> list[FakePod]:
        """The pods of a Deployment that are not deleted."""
        return [each for each in self.pods.values() if _is_of(each, deployment) and not each.deleted]

    def respond(self, asked: Asked) -> Answer:
        """The answer of the API server."""
        route = asked.route
        if status := next((code for begin, code in self.refused.items() if route.startswith(begin)), None):
            return status, {"kind": "Status", "status": "Failure", "code": status, "message": "it is refused"}
        if asked.method != "GET":
            body = json.loads(asked.body)
            if "selfsubjectaccessreviews" not in route:
                self.asked.append((asked.method, route, asked.headers["Content-Type"], body))
            return self._change(route, body)
        found = self._read(route)
        return (200, found) if found is not None else not_found(route.rpartition("/")[2])

    def _read(self, route: str) -> Json | None:
        """What a GET answers; None for what there is not."""
        *before, last = route.split("/")
        if before[-1] == "namespaces":
            return {"metadata": {"name": last}} if last == NAMESPACE else None
        if before[-1] == "services":
            return self.service or None
        answers = {
            "version": lambda: {"major": "1", "minor": "36", "gitVersion": "v1.36.1"},
            "nodes": self._list_nodes,
            "summary": self._summary,
            "pods": self._list_pods,
            "deployments": self._list_deployments,
            "horizontalpodautoscalers": self._list_autoscalers,
        }
        return answers[last]()

    def _change(self, route: str, body: Json) -> Answer:
        if route.endswith("selfsubjectaccessreviews"):
            wanted = body["spec"]["resourceAttributes"]
            resource = "/".join(filter(None, (wanted["resource"], wanted["subresource"])))
            return 201, {**body, "status": {"allowed": (wanted["verb"], resource) != self.denied}}
        name, _, part = route.partition("/deployments/")[2].partition("/")
        found = self.deployments[name]
        found["metadata"]["generation"] += 1
        if part == "scale":
            found["spec"]["replicas"] = body["spec"]["replicas"]
        else:
            for pod in self.of(name):
                pod.deleted = True
            found["spec"]["template"]["metadata"] = body["spec"]["template"]["metadata"]
        return 200, {"spec": {"replicas": found["spec"]["replicas"]}}

    def _reconcile(self, name: str) -> None:
        """What a Deployment's controller does."""
        found = self.deployments[name]
        pods, wanted = self.of(name), found["spec"]["replicas"]
        for pod in pods[wanted:]:
            pod.deleted = True
        for _ in range(wanted - len(pods)):
            self.add_pod("ReplicaSet", f"{name}-5d9f8c7b6")
        found["status"] = {
            "observedGeneration": found["metadata"]["generation"],
            **dict.fromkeys(("replicas", "updatedReplicas"), wanted),
            **dict.fromkeys(
                ("readyReplicas", "availableReplicas"), sum(each.ready for each in self.of(name))
            ),
        }

    def _list_nodes(self) -> Json:
        address = {"type": "InternalIP", "address": "127.0.0.1"}
        return {"items": [{"status": {"addresses": [address], "capacity": {"cpu": "4"}}}]}

    def _list_autoscalers(self) -> Json:
        return {
            "items": [
                {"metadata": {"name": name}, "spec": {"scaleTargetRef": {"name": of}}}
                for name, of in self.autoscalers.items()
            ]
        }

    def _list_deployments(self) -> Json:
        seen = json.loads(json.dumps(list(self.deployments.values())))
        for name in self.deployments:
            self._reconcile(name)
        return {"items": seen}

    def _list_pods(self) -> Json:
        seen = [each.as_json() for each in self.pods.values()]
        self.pods = {name: each for name, each in self.pods.items() if not each.deleted}
        return {"items": seen}

    def _summary(self) -> Json:
        """The kubelet's; the pod of another namespace is there too."""
        now = self.clock()
        read = [each for each in self.pods.values() if not any(_is_of(each, name) for name in self.unread)]
        return {
            "node": {"nodeName": NODE},
            "pods": [
                {"podRef": {"name": "other", "namespace": "kube-system", "uid": "uid-other"}},
                *(
                    {
                        "podRef": {"name": each.name, "namespace": NAMESPACE, "uid": f"uid-{each.name}"},
                        "startTime": stamp(each.started),
                        "cpu": {
                            "time": stamp(now),
                            "usageNanoCores": int(CORES * 1e9),
                            "usageCoreNanoSeconds": int((now - each.started) * CORES * 1e9),
                        },
                        "memory": {"time": stamp(now), "workingSetBytes": 2 * MEMORY, "rssBytes": MEMORY},
                    }
                    for each in read
                ),
            ],
        }


def stamp(at: float) -> str:
    """A time as the API writes it, in whole seconds."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def not_found(what: str) -> Answer:
    """As the API says that there is no such object."""
    return 404, {"kind": "Status", "status": "Failure", "code": 404, "message": f'"{what}" not found'}


def _is_of(pod: FakePod, deployment: str) -> bool:
    return bool(pod.owner["name"].startswith(f"{deployment}-"))


@contextmanager
def served(cluster: FakeCluster, folder: Path) -> Iterator[Path]:
    """The cluster's API on loopback, and the kubeconfig that names it."""
    with StandIn(cluster.respond) as server:
        cluster.url = server.url
        config = folder / "kubeconfig"
        config.write_text(KUBECONFIG.format(url=server.url), encoding="utf-8")
        yield config
