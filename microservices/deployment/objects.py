"""Kubernetes' objects of one service, of the gateway, and of the database server with its one-off jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microservices.deployment import facts
from microservices.launcher.environment import callees
from microservices.topology import Service, Topology

Object = dict[str, Any]

NAME, PART_OF = "app.kubernetes.io/name", "app.kubernetes.io/part-of"
PRE_STOP_SECONDS = 10
"""Longer than it takes until nobody sends requests to a replica that is going: five seconds until its name is looked up
anew (CoreDNS's default), one until the gateway does it, and some for the cluster to tell its nodes."""
GRACE_SECONDS = PRE_STOP_SECONDS + 20
GATEWAY_CPU, DATABASE_CPU, JOB_CPU = 200, 500, 100
"""Millicores that these containers ask for."""
JOB_MEMORY = 512


def deployment(topology: Topology, service: Service) -> Object:
    """The replicas of a service. It names no number of them: that is left to `kubectl scale` or an autoscaler."""
    env = {"SHOP_THREADS": str(service.threads)}
    env |= callees(topology, service, lambda name: f"http://{name}:{facts.PORT}")
    container: Object = {
        "name": service.name,
        "image": facts.image(service.name),
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": facts.PORT}],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "envFrom": [{"secretRef": {"name": service.name}}],
        "resources": resources(service.cpu_request, service.memory),
        "startupProbe": _probe("/readyz", periodSeconds=1, failureThreshold=60),
        "readinessProbe": _probe("/readyz", periodSeconds=2, failureThreshold=2),
        "livenessProbe": _probe("/healthz", periodSeconds=10, failureThreshold=3),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 -- the container's own
    }
    volumes = [_scratch()]
    if facts.keeps_cards(service):
        container["volumeMounts"].append({"name": "keys", "mountPath": facts.KEYS, "readOnly": True})
        volumes.append(
            {"name": "keys", "secret": {"secretName": f"{service.name}-keys", "defaultMode": 0o440}}
        )
    return _replicas(topology, service.name, container, volumes)


def gateway(topology: Topology) -> list[Object]:
    """The Caddy at the edge, with the address that customers use."""
    container = {
        "name": "gateway",
        "image": facts.image("gateway"),
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": facts.PUBLIC_PORT}],
        "resources": resources(GATEWAY_CPU, facts.GATEWAY_MEMORY),
        # Its own port is all that it can be asked for: every path on it belongs to the shop.
        "startupProbe": _open(periodSeconds=1, failureThreshold=60),
        "readinessProbe": _open(periodSeconds=2, failureThreshold=2),
        "livenessProbe": _open(periodSeconds=10, failureThreshold=3),
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- the container's own
            {"name": "configuration", "mountPath": "/etc/shop", "readOnly": True},
        ],
    }
    volumes = [_scratch(), {"name": "configuration", "configMap": {"name": "gateway"}}]
    return [
        _replicas(topology, "gateway", container, volumes),
        network_name(topology, "gateway", facts.PUBLIC_PORT, port=80),
        disruption_budget(topology, "gateway"),
    ]


def of_service(topology: Topology, service: Service) -> list[Object]:
    """All objects of a service but its network policy."""
    objects = [
        deployment(topology, service),
        network_name(topology, service.name, facts.PORT),
        disruption_budget(topology, service.name),
    ]
    if facts.is_public(service):
        # For the gateway, which balances requests and not connections: its name stands for all ready replicas.
        objects.append(network_name(topology, service.name, facts.PORT, headless=True))
    return objects


def network_name(
    topology: Topology, name: str, target: int, *, port: int | None = None, headless: bool = False
) -> Object:
    """A Service. Without `headless` it has one address for all replicas, with it one for each."""
    own = f"{name}-replicas" if headless else name
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(topology, name) | {"name": own},
        "spec": {
            **({"clusterIP": "None"} if headless else {}),
            "selector": {NAME: name},
            "ports": [{"name": "http", "port": port or target, "targetPort": target}],
        },
    }


def disruption_budget(topology: Topology, name: str) -> Object:
    """When nodes are emptied, replicas go one after the other."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(topology, name),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {NAME: name}}},
    }


def namespace(topology: Topology) -> Object:
    """The shop's own namespace, which refuses pods with more rights than ours need."""
    level = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": topology.name, "labels": level}}


def database_server(topology: Topology) -> list[Object]:
    """One PostgreSQL on one volume: enough to try the shop. For a real one, a managed server takes its place."""
    name = facts.DATABASE_HOST
    probe = {
        "exec": {"command": ["pg_isready", "--quiet", "--host", "127.0.0.1", "--username", "postgres"]},
        "periodSeconds": 2,
        "timeoutSeconds": 3,
    }
    container = {
        "name": name,
        "image": facts.POSTGRES_IMAGE,
        "args": ["postgres", "-c", f"max_connections={facts.MAX_CONNECTIONS}"],
        "ports": [{"name": "sql", "containerPort": facts.DATABASE_PORT}],
        "env": [
            {"name": "PGDATA", "value": "/var/lib/postgresql/data/pgdata"},
            {"name": "POSTGRES_PASSWORD", "valueFrom": _secret(name, "POSTGRES_PASSWORD")},
        ],
        "resources": resources(DATABASE_CPU, facts.DATABASE_MEMORY),
        "securityContext": _container_security(),
        "startupProbe": probe | {"failureThreshold": 60},
        "readinessProbe": probe,
        "livenessProbe": probe | {"periodSeconds": 10, "failureThreshold": 6},
        "volumeMounts": [
            {"name": "data", "mountPath": "/var/lib/postgresql/data"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- the container's own
            {"name": "run", "mountPath": "/var/run/postgresql"},
        ],
    }
    stateful_set = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata(topology, name),
        "spec": {
            "serviceName": name,
            "selector": {"matchLabels": {NAME: name}},
            "template": _template(
                topology,
                name,
                {"containers": [container], "volumes": [_scratch(), {"name": "run", "emptyDir": {}}]},
                user=facts.POSTGRES_USER,
            ),
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": "data"},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "2Gi"}},
                    },
                }
            ],
        },
    }
    service = network_name(topology, name, facts.DATABASE_PORT)
    service["spec"]["ports"][0]["name"] = "sql"
    return [stateful_set, service]


def databases_job(topology: Topology) -> Object:
    """The one-off that makes a database and a role for each service."""
    container = {
        "name": "databases",
        "image": facts.POSTGRES_IMAGE,
        "command": [
            *("psql", "--quiet", "--set", "ON_ERROR_STOP=1"),
            *("--host", facts.DATABASE_HOST, "--username", "postgres", "--file", "/sql/databases.sql"),
        ],
        "envFrom": [{"secretRef": {"name": facts.DATABASE_HOST}}],
        "resources": resources(JOB_CPU, JOB_MEMORY),
        "securityContext": _container_security(),
        "volumeMounts": [{"name": "sql", "mountPath": "/sql", "readOnly": True}],
    }
    volumes = [{"name": "sql", "configMap": {"name": "databases"}}]
    return _job(topology, "databases", {"containers": [container], "volumes": volumes})


def seed_job(topology: Topology, service: Service) -> Object:
    """The one-off that fills a service's database, unless it has data.

    Each makes the data set for itself, which takes some seconds: it needs no volume that pods on several nodes share.
    """
    alone = len(topology.services) == 1
    container = _one_off(
        f"seed-{service.name}",
        service.name,
        ["python", "-m", "monolith.cli", "seed", "--if-empty"]
        if alone
        else ["python", "-m", f"microservices.{service.name}.seed", "--if-empty", facts.DATASET],
    )
    container["envFrom"] = [{"secretRef": {"name": service.name}}]
    spec: Object = {"containers": [container], "volumes": [_scratch()]}
    if not alone:
        dataset = _one_off("dataset", "monolith", ["python", "-m", "monolith.cli", "dataset", facts.DATASET])
        for each in (dataset, container):
            each["volumeMounts"].append({"name": "dataset", "mountPath": facts.DATASET})
        spec["initContainers"] = [dataset]
        spec["volumes"].append({"name": "dataset", "emptyDir": {}})
    return _job(topology, f"seed-{service.name}", spec)


def resources(cpu: int, memory: int) -> Object:
    """Millicores and MiB. CPU has no limit: with one, a replica would wait although cores are free."""
    return {
        "requests": {"cpu": f"{cpu}m", "memory": f"{memory}Mi"},
        "limits": {"memory": f"{memory}Mi"},
    }


def metadata(topology: Topology, name: str) -> Object:
    """Name, namespace and labels."""
    return {"name": name, "namespace": topology.name, "labels": _labels(topology, name)}


def _labels(topology: Topology, name: str) -> Mapping[str, str]:
    return {NAME: name, PART_OF: topology.name}


def _replicas(topology: Topology, name: str, container: Object, volumes: list[Object]) -> Object:
    container |= {
        "securityContext": _container_security(),
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {NAME: name}},
    }
    pod = {
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "topologySpreadConstraints": [spread],
        "containers": [container],
        "volumes": volumes,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(topology, name),
        "spec": {
            "selector": {"matchLabels": {NAME: name}},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": _template(topology, name, pod),
        },
    }


def _job(topology: Topology, name: str, pod: Object) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(topology, name),
        "spec": {
            # It is repeated until the database server is up.
            "backoffLimit": 20,
            "template": _template(topology, name, {"restartPolicy": "OnFailure", **pod}),
        },
    }


def _template(topology: Topology, name: str, pod: Object, *, user: int = facts.USER) -> Object:
    security = {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    closed = {
        "automountServiceAccountToken": False,
        # Or each Service of the namespace would put settings of its own into the environment.
        "enableServiceLinks": False,
        "securityContext": security,
    }
    return {"metadata": {"labels": _labels(topology, name)}, "spec": {**closed, **pod}}


def _container_security() -> Object:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _one_off(name: str, image: str, command: list[str]) -> Object:
    return {
        "name": name,
        "image": facts.image(image),
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "resources": resources(JOB_CPU, JOB_MEMORY),
        "securityContext": _container_security(),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 -- the container's own
    }


def _probe(path: str, **numbers: int) -> Object:
    return {"httpGet": {"path": path, "port": "http"}, "timeoutSeconds": 4, **numbers}


def _open(**numbers: int) -> Object:
    return {"tcpSocket": {"port": "http"}, "timeoutSeconds": 4, **numbers}


def _secret(name: str, key: str) -> Object:
    return {"secretKeyRef": {"name": name, "key": key}}


def _scratch() -> Object:
    return {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}}
