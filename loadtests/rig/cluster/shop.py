"""A shop in a cluster during one trial: its replicas are pods, which the lab counts, adds and replaces.

The lab has no process of it. What it knows comes from the API: once a second it asks for the pods, and the kubelets for
their newest readings.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from loadtests.analysis.records import GATEWAY
from loadtests.rig.cluster.api import ClusterApi
from loadtests.rig.cluster.pods import HALF_A_SECOND, Pod, pods_of, readings_of
from loadtests.rig.cluster.samples import PodSamples
from loadtests.rig.sampler import Sample
from loadtests.rig.shop import TargetError
from microservices.launcher import Death, Phase

EVERY_SECONDS = 1.0
POLL_SECONDS = 0.5
SETTLE_SECONDS = 180.0
READING_SECONDS = 45.0
"""A kubelet reads an idle pod every 15 seconds."""
LOOKED_UP_SECONDS = 2.0
"""The gateway looks the names of its replicas up every second (docs/decisions/0040)."""
MAX_AHEAD_SECONDS = 2.0
RESTARTED = "kubectl.kubernetes.io/restartedAt"
"""The annotation that `kubectl rollout restart` changes."""


@dataclass(frozen=True)
class PodReplica:
    """A pod as a trial sees it. It has no processes here."""

    name: str
    slot: int
    label: str
    phase: Phase
    pid: int = 0

    def pids(self) -> list[int]:
        """None of them is on this machine."""
        return []


class ClusterShop:
    """The shop of one namespace, which answers at `url`. As a context manager it is watched meanwhile."""

    gateway = 0

    def __init__(self, api: ClusterApi, url: str) -> None:
        self.url = url
        self.died: list[Death] = []
        self._api = api
        self._pods: list[Pod] = []
        self._restarts: dict[str, int] = {}
        self._known = PodSamples()
        self._looking = threading.Lock()
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="cluster", daemon=True)

    def __enter__(self) -> Self:
        self._look()
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._ended.set()
        self._watcher.join()

    def replicas(self, name: str | None = None) -> list[PodReplica]:
        """The pods of one Deployment, or all but the gateway's, as they were a second ago at most."""
        pods = [pod for pod in self._pods if (pod.workload == name if name else pod.workload != GATEWAY)]
        return [
            PodReplica(pod.workload, self._known.slot(pod), self._known.label(pod), _phase(pod))
            for pod in pods
        ]

    def scale(self, name: str, count: int) -> list[PodReplica]:
        """Set the number of replicas; returns them when all are ready. TargetError when they are not in time."""
        self._api.scale(name, count)
        self._wait(lambda: self._unsettled({name: count}), SETTLE_SECONDS)
        return self.replicas(name)

    def restart(self, name: str) -> list[PodReplica]:
        """Replace the replicas one after another; returns the new ones when all are ready. The old may still end."""
        count = self._api.deployments()[name]["spec"]["replicas"]
        self._api.annotate_pods(name, {RESTARTED: datetime.now(UTC).isoformat(timespec="microseconds")})
        self._wait(lambda: self._unsettled({name: count}), SETTLE_SECONDS)
        return [each for each in self.replicas(name) if each.phase is not Phase.DRAINING]

    def begin(self, replicas: Mapping[str, int]) -> None:
        """Bring the Deployments to these numbers of replicas, and wait until every pod is ready and was read since.

        TargetError when that takes too long, says why.
        """
        deployments = self._api.deployments()
        changes = {
            name: count for name, count in replicas.items() if deployments[name]["spec"]["replicas"] != count
        }
        for name, count in changes.items():
            self._api.scale(name, count)
        self._wait(lambda: self._unsettled(replicas) or self._ending(), SETTLE_SECONDS)
        if changes:
            time.sleep(LOOKED_UP_SECONDS)
        self._wait(self._unread, READING_SECONDS)
        with self._looking:
            self._known.begin()
            self.died = []

    def samples(self, until: float) -> list[Sample]:
        """The readings of all pods. Waits for one of each that is later than the Unix time `until`, if one comes."""
        with contextlib.suppress(TargetError):
            self._wait(lambda: self._unread_since(until), READING_SECONDS)
        return list(self._known.samples)

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            # What is missed is missing in the samples, and the analysis says so.
            with contextlib.suppress(TargetError):
                self._look()

    def _look(self) -> None:
        """Ask the cluster for the pods and their newest readings."""
        with self._looking:
            pods = pods_of(self._api.pods())
            nodes = sorted({pod.node for pod in pods if pod.node})
            readings = {
                reading.uid: reading
                for node in nodes
                for reading in readings_of(self._api.stats(node), self._api.namespace)
            }
            self._known.add(pods, readings, time.time())
            self._note_deaths(pods)
            self._pods = pods

    def _note_deaths(self, pods: list[Pod]) -> None:
        for pod in pods:
            if pod.restarts > self._restarts.get(pod.uid, pod.restarts):
                slot = self._known.slot(pod)
                self.died = [*self.died, Death(pod.workload, slot, 0, pod.exit_status, time.time())]
            self._restarts[pod.uid] = pod.restarts

    def _wait(self, missing: Callable[[], str], seconds: float) -> None:
        """Until `missing` returns an empty text. Otherwise TargetError with its last text."""
        until = time.monotonic() + seconds
        while True:
            self._look()
            why = missing()
            if not why:
                return
            if time.monotonic() > until:
                raise TargetError(f"{why}, after {seconds:.0f} s.")
            time.sleep(POLL_SECONDS)

    def _unsettled(self, replicas: Mapping[str, int]) -> str:
        """Which Deployment has not the wanted number of ready replicas of its newest version."""
        deployments = self._api.deployments()
        for name, count in replicas.items():
            if not _is_settled(deployments[name], count):
                ready = deployments[name]["status"].get("readyReplicas", 0)
                causes = [pod.waits_for for pod in self._pods if pod.workload == name and pod.waits_for]
                cause = f" ({causes[0].rstrip('.')})" if causes else ""
                return f"{name} has {ready} ready replicas in the namespace {self._api.namespace}, not {count}{cause}"
        return ""

    def _ending(self) -> str:
        going = [pod.name for pod in self._pods if pod.going]
        return f"{going[0]} is still ending" if going else ""

    def _unread(self) -> str:
        """Which pod the kubelet has not read since it was ready."""
        ahead = max((self._known.last_reading(pod) for pod in self._pods), default=0.0) - time.time()
        if ahead > MAX_AHEAD_SECONDS:
            return (
                f"A node's clock is {ahead:.0f} s ahead of this machine's; set both by the same time server"
            )
        return self._unread_by({pod: pod.ready_since or pod.started for pod in self._pods})

    def _unread_since(self, at: float) -> str:
        return self._unread_by({pod: at + HALF_A_SECOND for pod in self._pods if not pod.going})

    def _unread_by(self, times: Mapping[Pod, float]) -> str:
        for pod, at in times.items():
            if self._known.last_reading(pod) < at:
                return f"The kubelet of {pod.node} has no new CPU time of {pod.name} in /stats/summary"
        return ""


def _phase(pod: Pod) -> Phase:
    if pod.going:
        return Phase.DRAINING
    return Phase.STARTING if pod.ready_since is None else Phase.READY


def _is_settled(deployment: Mapping[str, Any], count: int) -> bool:
    """Whether the Deployment's controller has seen its newest state and has that many replicas, all new and ready."""
    status = deployment["status"]
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return False
    counted = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    return all(status.get(each, 0) == count for each in counted)
