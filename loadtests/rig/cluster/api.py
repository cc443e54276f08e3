"""The API of a cluster, through the official client. Objects are the JSON that the API answers, as it documents it.

The client is imported only here and only when it is needed: it is an optional package, and loading it takes a third of
a second. Every failure is a TargetError of one sentence.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

from loadtests.rig.shop import TargetError

Object = Mapping[str, Any]

TIMEOUT_SECONDS = (5, 20)
"""For the connection, and for the answer."""
ROLE = "docs/kubernetes.md has the roles that the lab needs"


@dataclass(frozen=True)
class Right:
    """Something that the lab does; `everywhere` where it is not in the namespace but in the whole cluster."""

    verb: str
    group: str
    resource: str
    everywhere: bool = False


RIGHTS = (
    Right("get", "", "namespaces"),
    Right("get", "", "services"),
    Right("list", "", "pods"),
    Right("list", "apps", "deployments"),
    Right("patch", "apps", "deployments"),
    Right("patch", "apps", "deployments/scale"),
    Right("list", "autoscaling", "horizontalpodautoscalers"),
    Right("list", "", "nodes", everywhere=True),
    Right("get", "", "nodes/proxy", everywhere=True),
)
"""What a role has to allow. `patch deployments` is for a rolling restart, `get nodes/proxy` for CPU and memory."""


class ClusterApi:
    """The objects of one namespace, by the current context of the user's kubeconfig."""

    def __init__(self, namespace: str) -> None:
        """Read the kubeconfig; nothing is asked yet. TargetError without the client or a kubeconfig."""
        self.namespace = namespace
        self._client = _client()

    @property
    def server(self) -> str:
        """The address of the API, for messages."""
        return str(self._client.configuration.host)

    def version(self) -> str:
        """Kubernetes' version, such as `v1.36.1`."""
        return str(self._ask("GET", "/version")["gitVersion"])

    def check_namespace(self) -> None:
        """TargetError when there is no such namespace."""
        self._ask("GET", "/api/v1/namespaces/{namespace}")

    def check_rights(self) -> None:
        """TargetError that names the first right of `RIGHTS` which the user does not have."""
        for right in RIGHTS:
            resource, _, part = right.resource.partition("/")
            wanted = {
                "namespace": "" if right.everywhere else self.namespace,
                "verb": right.verb,
                "group": right.group,
                "resource": resource,
                "subresource": part,
            }
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": wanted},
            }
            path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
            if not self._ask("POST", path, body=review)["status"]["allowed"]:
                where = "in the whole cluster" if right.everywhere else f"in the namespace {self.namespace}"
                raise TargetError(f"You may not {right.verb} {right.resource} {where}; {ROLE}.")

    def deployments(self) -> dict[str, Object]:
        """All Deployments by name."""
        found = self._ask("GET", "/apis/apps/v1/namespaces/{namespace}/deployments")["items"]
        return {each["metadata"]["name"]: each for each in found}

    def pods(self) -> list[Object]:
        """All pods, also those that have ended."""
        return list(self._ask("GET", "/api/v1/namespaces/{namespace}/pods")["items"])

    def service(self, name: str) -> Object:
        """One Service."""
        return self._ask("GET", f"/api/v1/namespaces/{{namespace}}/services/{name}")

    def autoscaled(self) -> dict[str, str]:
        """The Deployments whose replicas an autoscaler sets: name to the autoscaler's name."""
        path = "/apis/autoscaling/v1/namespaces/{namespace}/horizontalpodautoscalers"
        return {
            each["spec"]["scaleTargetRef"]["name"]: each["metadata"]["name"]
            for each in self._ask("GET", path)["items"]
        }

    def nodes(self) -> list[Object]:
        """The nodes of the cluster."""
        return list(self._ask("GET", "/api/v1/nodes")["items"])

    def stats(self, node: str) -> Object:
        """The newest readings of a node's kubelet: CPU time and memory of each of its pods."""
        path = f"/api/v1/nodes/{node}/proxy/stats/summary"
        try:
            return self._ask("GET", path, query=[("only_cpu_and_memory", "true")])
        except TargetError as error:
            raise TargetError(f"CPU and memory of the node {node} cannot be read. {error}") from error

    def scale(self, deployment: str, replicas: int) -> None:
        """Set the number of replicas; returns before they are there."""
        path = f"/apis/apps/v1/namespaces/{{namespace}}/deployments/{deployment}/scale"
        self._ask("PATCH", path, body={"spec": {"replicas": replicas}})

    def annotate_pods(self, deployment: str, annotations: Mapping[str, str]) -> None:
        """Change annotations of the Deployment's pods, which replaces them one after another."""
        path = f"/apis/apps/v1/namespaces/{{namespace}}/deployments/{deployment}"
        self._ask(
            "PATCH", path, body={"spec": {"template": {"metadata": {"annotations": dict(annotations)}}}}
        )

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: list[tuple[str, str]] | None = None,
        body: Object | None = None,
    ) -> Object:
        """The JSON of the answer; TargetError for every other outcome."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        request = self._client.param_serialize(
            method,
            path,
            path_params={"namespace": self.namespace},
            query_params=query,
            header_params={"Accept": "application/json", "Content-Type": kind},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self._client.call_api(*request, _request_timeout=TIMEOUT_SECONDS)
            text = response.read()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise TargetError(
                f"No cluster answers at {self.server}; start it, or choose another with kubectl config use-context."
            ) from error
        if response.status >= 300:
            raise TargetError(self._refused(method, path, response.status, text))
        answer: Object = json.loads(text)
        return answer

    def _refused(self, method: str, path: str, status: int, text: bytes) -> str:
        """An answer that is no success, as a sentence."""
        if status == 401:
            return f"The cluster at {self.server} does not accept your credentials; sign in to it again."
        what = path.format(namespace=self.namespace)
        if status == 403:
            return f"The cluster refuses {method} {what}; {ROLE}."
        if status == 404 and path.endswith("/{namespace}"):
            return (
                f"The cluster at {self.server} has no namespace {self.namespace}; "
                "start the shop in it first (docs/kubernetes.md)."
            )
        return f"The cluster answers {status} to {method} {what}: {_message(text)}"


def _client() -> Any:
    try:
        from kubernetes import config
    except ModuleNotFoundError as error:
        raise TargetError(
            "The lab needs the Kubernetes client for a shop in a cluster; run: make extras."
        ) from error
    # A kubeconfig that skips the check of certificates says so itself; a warning for each request says nothing new.
    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    try:
        return config.new_client_from_config(config_file=os.environ.get("KUBECONFIG"))
    except (config.ConfigException, OSError) as error:
        raise TargetError(
            "There is no usable kubeconfig (KUBECONFIG, or ~/.kube/config) that names a cluster: "
            f"{str(error).splitlines()[0].rstrip('.')}."
        ) from error


def _message(text: bytes) -> str:
    """The message of a Status object; what there is of another text."""
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.decode("utf-8", "replace").strip()[:200] or "nothing else"
