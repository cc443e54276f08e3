"""A shop that runs in a namespace of a cluster, named as `kube:NAMESPACE` or `kube:NAMESPACE@http://ADDRESS`.

The lab sets its replicas and reads its CPU and memory. It gives it neither fresh processes nor fresh data, and no
slices: the pods have the CPU that their Deployments ask for. An experiment that needs these is refused before anything
starts.
"""

import contextlib
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loadtests.analysis.records import ENGINE, GATEWAY
from loadtests.experiments.experiment import Experiment
from loadtests.experiments.kinds import Kind
from loadtests.experiments.parts import System
from loadtests.load.shelf import ShopNotThereError, learn
from loadtests.planning.trials import Trial
from loadtests.rig.cluster.api import ClusterApi, Object
from loadtests.rig.cluster.shop import ClusterShop
from loadtests.rig.shop import TargetError

PREFIX = "kube:"
POSSIBLE_ACTIONS = {"restart", "add"}
CONNECT_SECONDS = 1.0


@dataclass(frozen=True)
class ClusterTarget:
    """The shop of one namespace. `at` is what the user wrote; `address` is empty where the lab has to find it."""

    kind: Kind
    at: str
    namespace: str
    address: str = ""
    managed: bool = False

    @cached_property
    def _api(self) -> ClusterApi:
        return ClusterApi(self.namespace)

    @cached_property
    def url(self) -> str:
        """The address of the gateway; TargetError when it cannot be reached from here."""
        if self.address:
            return self.address.rstrip("/")
        for host, port in _addresses(self._api.service(GATEWAY), self._api.nodes()):
            with contextlib.suppress(OSError), socket.create_connection((host, port), CONNECT_SECONDS):
                return f"http://{host}:{port}"
        raise TargetError(
            f"The Service {GATEWAY} of the namespace {self.namespace} has no address that answers from here; "
            f"add one that does: {PREFIX}{self.namespace}@http://127.0.0.1:8080."
        )

    def refusal(self, experiment: Experiment) -> str | None:
        """Why this shop cannot run the experiment: it needs what a cluster has not, or the shop is not there."""
        impossible = next(_impossible(experiment, self.kind), None)
        if impossible:
            rest = next(_impossible(experiment.short(), self.kind), None)
            hint = "" if rest else "; --short leaves it out"
            return f"{experiment.name} {impossible}, which the lab cannot do in a cluster ({self.at}){hint}."
        try:
            self._check(experiment)
        except (TargetError, ShopNotThereError) as error:
            return str(error)
        return None

    def facts(self) -> dict[str, Any]:
        """What a reader of the results has to know of the cluster. `limits` is the CPU limit by Deployment, or None."""
        nodes = self._api.nodes()
        return {
            "engine": ENGINE,
            "version": self._api.version(),
            "nodes": len(nodes),
            "node_cpu": [each["status"]["capacity"]["cpu"] for each in nodes],
            "limits": {name: _cpu_limit(each) for name, each in self._api.deployments().items()},
        }

    def seed(self, home: Path, sizes: Iterable[int | None]) -> None:
        """Does nothing: the shop has its own data."""

    def databases(self, home: Path, products: int | None) -> None:
        """Always None: the lab cannot know."""

    @contextmanager
    def open(self, trial: Trial, *_of_a_trial: object) -> Iterator[ClusterShop]:
        """The shop with the replicas of the trial; afterwards each Deployment gets back those that it had."""
        before = {name: each["spec"]["replicas"] for name, each in self._api.deployments().items()}
        wanted = {name: trial.replicas.get(name, 1) for name in before if name != GATEWAY}
        with ClusterShop(self._api, self.url) as shop:
            try:
                shop.begin(wanted)
                yield shop
            finally:
                for name, each in self._api.deployments().items():
                    if name in before and each["spec"]["replicas"] != before[name]:
                        self._api.scale(name, before[name])

    def _check(self, experiment: Experiment) -> None:
        """TargetError or ShopNotThereError when the namespace, a right or a part of the shop is missing."""
        self._api.check_namespace()
        self._api.check_rights()
        deployments = self._api.deployments()
        if not deployments:
            raise TargetError(
                f"Nothing runs in the namespace {self.namespace}; "
                f"start the shop with kubectl apply -k {self.kind}/kubernetes/overlays/local."
            )
        for name in _deployments(experiment, self.kind):
            if name not in deployments:
                raise TargetError(
                    f"{experiment.name} needs a Deployment {name}, which the namespace {self.namespace} does not have."
                )
        for name, autoscaler in self._api.autoscaled().items():
            raise TargetError(
                f"The autoscaler {autoscaler} changes the replicas of {name}, which the lab has to set; remove it "
                f"meanwhile: kubectl delete -n {self.namespace} hpa/{autoscaler}."
            )
        for pod_node in sorted({each["spec"].get("nodeName", "") for each in self._api.pods()} - {""}):
            self._api.stats(pod_node)
        learn(self.url)


def cluster_target(kind: Kind, where: str) -> ClusterTarget:
    """The target that `kube:…` names; TargetError for a name that is none."""
    namespace, at_sign, address = where.removeprefix(PREFIX).partition("@")
    if not namespace or (at_sign and urlsplit(address).scheme not in {"http", "https"}):
        raise TargetError(
            f"{where} names no shop in a cluster; write {PREFIX}NAMESPACE or {PREFIX}NAMESPACE@http://ADDRESS."
        )
    return ClusterTarget(kind, where, namespace, address)


def _impossible(experiment: Experiment, kind: Kind) -> Iterator[str]:
    """What the experiment does to this kind of shop that the lab can do only to processes of its own."""
    for system in experiment.systems:
        if system.system == kind:
            yield from (f"{what} ({system.id})" for what in _impossible_of(system))
    for phase in experiment.phases:
        if phase.action and kind in phase.action.of and phase.action.what not in POSSIBLE_ACTIONS:
            yield f'has the action "{phase.action.what}" ({phase.name})'


def _impossible_of(system: System) -> Iterator[str]:
    if system.slices:
        yield "sets slices of CPU"
    if system.products:
        yield "sets the size of the catalogue"
    if system.route:
        yield "gives one path a rule of its own"
    if system.following:
        yield "changes replicas during a phase"
    if system.variant:
        yield "exchanges code of the shop"


def _deployments(experiment: Experiment, kind: Kind) -> Iterator[str]:
    """The Deployments that the experiment names for this kind of shop, and the gateway."""
    yield GATEWAY
    for system in experiment.systems:
        if system.system == kind:
            yield from system.replicas
    for phase in experiment.phases:
        if phase.action and kind in phase.action.of:
            yield phase.action.of[kind]


def _addresses(service: Object, nodes: Iterable[Object]) -> Iterator[tuple[str, int]]:
    """Where the Service may answer outside of the cluster: its load balancer, else its port at each node."""
    port = service["spec"]["ports"][0]
    for entry in service["status"].get("loadBalancer", {}).get("ingress") or ():
        yield entry.get("ip") or entry["hostname"], port["port"]
    if "nodePort" in port:
        for wanted in ("ExternalIP", "InternalIP"):
            for node in nodes:
                found = node["status"]["addresses"]
                yield from ((each["address"], port["nodePort"]) for each in found if each["type"] == wanted)


def _cpu_limit(deployment: Object) -> str | None:
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    limit = container.get("resources", {}).get("limits", {}).get("cpu")
    return str(limit) if limit is not None else None
