"""Writes a situation into the API, and notes what the controller decides at each of its looks."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from microservices.autoscaler.recording.control_plane import ControlPlane
from microservices.autoscaler.recording.situations import Facts, Situation

TARGET = "hot"
WINDOW_SECONDS = 15
"""Over so many seconds the metrics API says that it measured."""
CLEAR_SECONDS = 0.3
Json = dict[str, Any]


class Watched:
    """One situation in a namespace of its own. Each look's decision is read at the next look."""

    def __init__(self, plane: ControlPlane, namespace: str, situation: Situation, api: str) -> None:
        self.situation = situation
        self._plane, self._namespace, self._api = plane, namespace, api
        self._start = int(time.time())
        self.looks: list[Json] = []
        self.finished = False
        self._make()

    def look(self) -> list[Json]:
        """The controller looks: note what it decided before, and show it what the pods use now."""
        if self.finished:
            return []
        now = time.time()
        self._decided()
        if len(self.looks) >= len(self.situation.looks):
            self.finished = True
            return []
        usage = self.situation.looks[len(self.looks)]
        measured_at = int(now)
        self.looks.append(
            {
                "at": round(now - self._start, 3),
                "measured_at": measured_at - self._start,
                "usage": list(usage),
                "current": self._replicas(),
            }
        )
        return [
            _measurement(f"{TARGET}-{number}", millicores, measured_at)
            for number, millicores in enumerate(usage)
            if millicores is not None
        ]

    def too_close(self) -> bool:
        """Whether a window or period ended so near to a look that the controller's clock decides, which nobody sees."""
        at = [look["at"] for look in self.looks]
        distances = (after - before for before, after in itertools.combinations(at, 2))
        return any(
            abs(distance - seconds) < CLEAR_SECONDS
            for distance, seconds in itertools.product(distances, _seconds(self.situation.spec))
        )

    def forget(self) -> None:
        """Delete the policy, so that the controller looks at it no more."""
        self._plane.call("DELETE", self._path(self._api, f"horizontalpodautoscalers/{TARGET}"))

    def record(self) -> Json:
        """The situation with what was decided; `end` is the number of replicas that are wanted at the end."""
        situation = self.situation
        return {
            "name": situation.name,
            "spec": situation.spec,
            "request": situation.request,
            "replicas": situation.replicas,
            "pods": [asdict(facts) for facts in situation.pods],
            "looks": self.looks,
            "end": self._replicas(),
        }

    def _decided(self) -> None:
        if not self.looks:
            return
        found = self._plane.call("GET", self._path(self._api, f"horizontalpodautoscalers/{TARGET}"))["status"]
        last = self.looks[-1]
        last["desired"] = self._replicas()
        active = {each["type"]: each["status"] for each in found.get("conditions", [])}
        if active.get("ScalingActive") == "True" and found.get("currentMetrics"):
            current = found["currentMetrics"][0]["resource"]["current"]
            last["measured"] = current.get("averageUtilization") or current.get("averageValue")

    def _replicas(self) -> int:
        found = self._plane.call("GET", self._path("apps/v1", f"deployments/{TARGET}/scale"))
        wanted: int = found["spec"].get("replicas", 0)
        return wanted

    def _path(self, api: str, rest: str) -> str:
        return f"/{'apis/' if '/' in api else 'api/'}{api}/namespaces/{self._namespace}/{rest}"

    def _make(self) -> None:
        call, labels = self._plane.call, {"app": TARGET}
        call("POST", "/api/v1/namespaces", {"metadata": {"name": self._namespace}})
        containers = [
            {
                "name": TARGET,
                "image": "nothing",
                "resources": {"requests": {"cpu": f"{self.situation.request}m"}},
            }
        ]
        deployment = {
            "metadata": {"name": TARGET},
            "spec": {
                "replicas": self.situation.replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
            },
        }
        call("POST", self._path("apps/v1", "deployments"), deployment)
        for number, facts in enumerate(self.situation.pods):
            self._make_pod(f"{TARGET}-{number}", facts, containers)
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": TARGET}
        policy = {"metadata": {"name": TARGET}, "spec": self.situation.spec | {"scaleTargetRef": reference}}
        call("POST", self._path(self._api, "horizontalpodautoscalers"), policy)

    def _make_pod(self, name: str, facts: Facts, containers: Sequence[Json]) -> None:
        pod = {
            "metadata": {"name": name, "labels": {"app": TARGET}},
            # A pod on a node is deleted only when the node says so: here, never.
            "spec": {"containers": list(containers), "nodeName": "nowhere"},
        }
        self._plane.call("POST", self._path("v1", "pods"), pod)
        ready = {
            "type": "Ready",
            "status": "True" if facts.ready else "False",
            "lastTransitionTime": _written(self._start + facts.ready_changed),
        }
        status = {
            "phase": facts.phase,
            "startTime": _written(self._start + facts.started),
            "conditions": [ready],
        }
        self._plane.call("PATCH", self._path("v1", f"pods/{name}/status"), {"status": status}, merge=True)
        if facts.deleted:
            self._plane.call("DELETE", self._path("v1", f"pods/{name}"), {"gracePeriodSeconds": 3600})


def _seconds(spec: Json) -> set[int]:
    """All windows and periods of a policy."""
    found = set()
    for rules in spec.get("behavior", {}).values():
        found.add(rules.get("stabilizationWindowSeconds", 0))
        found |= {limit["periodSeconds"] for limit in rules.get("policies", [])}
    return found


def _measurement(name: str, millicores: int, measured_at: int) -> Json:
    return {
        "metadata": {"name": name},
        "timestamp": _written(measured_at),
        "window": f"{WINDOW_SECONDS}s",
        "containers": [{"name": TARGET, "usage": {"cpu": f"{millicores}m", "memory": "1Mi"}}],
    }


def _written(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
