"""The folders that `kubectl apply -k` reads: data, base, two overlays and a component, for each of the two shops.

`data` is applied first and has the database server and the one-off jobs; a shop on a managed server leaves it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import yaml

from microservices.deployment import databases, facts, gateway_files, objects, policies
from microservices.deployment.objects import Object
from microservices.topology import Topology

NOTE = "# Made from microservices/topology.py by `microservices kubernetes make`: change the code instead.\n"
NODE_PORTS = {"microservices": 30080, "monolith": 30081}
"""By shop, the port of a node at which overlay `local` offers it: two, so that one cluster can have both shops."""
AUTOSCALED = {"microservices": "recommendations", "monolith": "monolith"}
"""By shop, the Deployment that its autoscaler's policy scales."""


def kubernetes_files(topology: Topology, policy: str) -> Mapping[str, str]:
    """By path from the top of the repository, the text; `policy` is the text of the autoscaler's file."""
    folder = PurePosixPath(topology.name) / "kubernetes"
    made = {
        **{f"data/{name}": text for name, text in _data(topology).items()},
        **{f"base/{name}": text for name, text in _base(topology).items()},
        "overlays/local/kustomization.yaml": _local(topology),
        "overlays/autoscale/kustomization.yaml": _kustomization(
            ["../local", policy_file(topology)], namespace=topology.name
        ),
        f"overlays/autoscale/{policy_file(topology)}": policy,
        "components/http-route/kustomization.yaml": _component(),
        "components/http-route/http-route.yaml": _yaml([_http_route(topology)]),
    }
    return {str(folder / path): text for path, text in made.items()}


def policy_file(topology: Topology) -> str:
    """The name of the autoscaler's file, which people write and the launcher reads too."""
    return f"{AUTOSCALED[topology.name]}-autoscaler.yaml"


def _data(topology: Topology) -> dict[str, str]:
    jobs = [
        objects.databases_job(topology),
        *(objects.seed_job(topology, service) for service in topology.with_database),
    ]
    files = {
        "namespace.yaml": _namespace(topology),
        f"{facts.DATABASE_HOST}.yaml": _yaml(objects.database_server(topology)),
        "jobs.yaml": _yaml(jobs),
        "network.yaml": _yaml(policies.of_databases(topology)),
    }
    sql = {"name": "databases", "files": ["databases.sql"]}
    # A job cannot be changed, so its SQL keeps its name.
    options = {"disableNameSuffixHash": True}
    return {
        **files,
        "databases.sql": databases.sql(topology),
        "kustomization.yaml": _kustomization(
            list(files),
            namespace=topology.name,
            configMapGenerator=[sql],
            generatorOptions=options,
        ),
    }


def _namespace(topology: Topology) -> str:
    """In `data` and in `base`: each is closed by itself, also where the other is not used."""
    return _yaml([objects.namespace(topology), *policies.all_closed(topology)])


def _base(topology: Topology) -> dict[str, str]:
    files = {
        f"{service.name}.yaml": _yaml(
            [*objects.of_service(topology, service), policies.of_service(topology, service)]
        )
        for service in topology.services
    }
    files["namespace.yaml"] = _namespace(topology)
    files["gateway.yaml"] = _yaml([*objects.gateway(topology), policies.of_gateway(topology)])
    # Its name has a hash of its content, so that a changed configuration replaces the gateway's pods.
    configuration = {"name": "gateway", "files": ["gateway.json"]}
    return {
        **files,
        "gateway.json": gateway_files.for_cluster(topology),
        "kustomization.yaml": _kustomization(
            list(files), namespace=topology.name, configMapGenerator=[configuration]
        ),
    }


def _local(topology: Topology) -> str:
    """A port of the node in front of the gateway, as kind can publish it."""
    port = [
        {"op": "add", "path": "/spec/type", "value": "NodePort"},
        {"op": "add", "path": "/spec/ports/0/nodePort", "value": NODE_PORTS[topology.name]},
    ]
    patch = {"target": {"kind": "Service", "name": "gateway"}, "patch": yaml.safe_dump(port)}
    return _kustomization(["../../base"], patches=[patch])


def _component() -> str:
    head = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
    return _yaml([head | {"resources": ["http-route.yaml"]}])


def _http_route(topology: Topology) -> Object:
    """For a cluster with a Gateway of the Gateway API; its name is the cluster's own."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": objects.metadata(topology, "gateway"),
        "spec": {
            "parentRefs": [{"name": "public"}],
            "rules": [{"backendRefs": [{"name": "gateway", "port": 80}]}],
        },
    }


def _kustomization(resources: list[str], **fields: Any) -> str:
    head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    return _yaml([{**head, **fields, "resources": resources}])


class _Plain(yaml.SafeDumper):
    """Writes equal parts twice instead of as an alias, and lists as most manifests have them."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, indentless=False)


def _yaml(documents: list[Object]) -> str:
    text = yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, width=110, allow_unicode=True)
    return NOTE + text
