"""The objects for a cluster: fresh, valid in the newest versions, and as closed as the topology allows."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner
from kubernetes_validate.utils import all_versions, validate

from microservices import cli
from microservices.autoscaler import read_policies
from microservices.deployment import facts, files, objects
from microservices.deployment.tests import connections, kustomize
from microservices.topology import MONOLITH, SPLIT, Service, Topology

SHOPS = {shop.name: shop for shop in (SPLIT, MONOLITH)}
FOLDERS = [
    f"{shop}/kubernetes/{folder}"
    for shop in SHOPS
    for folder in ("data", "base", "overlays/local", "overlays/autoscale")
]
NEWEST = list(dict.fromkeys(all_versions()))[-3:]
BOTH = pytest.mark.parametrize("shop", SHOPS.values(), ids=SHOPS)
POD_KINDS = ("Deployment", "StatefulSet", "Job")


@cache
def built(folder: str) -> list[dict[str, Any]]:
    return kustomize.build(facts.ROOT / folder)


def everything(shop: Topology) -> list[dict[str, Any]]:
    return [*built(f"{shop.name}/kubernetes/data"), *built(f"{shop.name}/kubernetes/overlays/autoscale")]


def of_kind(shop: Topology, *kinds: str) -> list[dict[str, Any]]:
    return [each for each in everything(shop) if each["kind"] in kinds]


def pods(shop: Topology) -> dict[str, dict[str, Any]]:
    """By name, the pod template of each Deployment, StatefulSet and Job."""
    return {each["metadata"]["name"]: each["spec"]["template"] for each in of_kind(shop, *POD_KINDS)}


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def test_the_folders_are_as_the_topology_says() -> None:
    assert files.stale(facts.ROOT, files.for_clusters()) == []


def test_nothing_in_the_folders_is_left_of_a_former_topology() -> None:
    made = set(files.for_clusters())
    by_hand = {f"{name}/kubernetes/{policy}-autoscaler.yaml" for name, policy in AUTOSCALED.items()}
    found = {
        str(path.relative_to(facts.ROOT))
        for name in SHOPS
        for path in (facts.ROOT / name / "kubernetes").rglob("*")
        if path.is_file()
    }
    assert found == made | by_hand


AUTOSCALED = {"microservices": "recommendations", "monolith": "monolith"}


@pytest.mark.parametrize("version", NEWEST)
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_object_is_valid(folder: str, version: str) -> None:
    for each in built(folder):
        validate(each, version, strict=True)


def test_the_schemas_refuse_a_misspelt_field() -> None:
    (deployment, *_) = (each for each in built(FOLDERS[1]) if each["kind"] == "Deployment")
    deployment = {**deployment, "spec": {**deployment["spec"], "replcas": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(deployment, NEWEST[-1], strict=True)


@pytest.mark.parametrize("folder", FOLDERS)
def test_kubectl_puts_the_folders_together_in_the_same_way(folder: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(
        [kubectl, "kustomize", facts.ROOT / folder], capture_output=True, text=True, check=True
    )
    assert _sorted(_without_hashes(list(yaml.safe_load_all(done.stdout)))) == _sorted(built(folder))


def _without_hashes(objects_: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Kubectl adds a hash of its content to the name of the gateway's configuration."""
    for each in objects_:
        name = each["metadata"]["name"]
        if each["kind"] == "ConfigMap" and name != "databases":
            each["metadata"]["name"] = name.rpartition("-")[0]
        if each["kind"] == "Deployment" and name == "gateway":
            (volume,) = (v for v in each["spec"]["template"]["spec"]["volumes"] if "configMap" in v)
            volume["configMap"]["name"] = volume["configMap"]["name"].rpartition("-")[0]
    return objects_


def _sorted(objects_: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(objects_, key=lambda each: (each["kind"], each["metadata"]["name"]))


@BOTH
def test_the_call_graph_of_the_policies_is_that_of_the_topology(shop: Topology) -> None:
    policies = of_kind(shop, "NetworkPolicy")
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(shop).items()}
    opened = {
        (source, target, port)
        for source, target in itertools.permutations(labels, 2)
        for port in (facts.PORT, facts.PUBLIC_PORT, facts.DATABASE_PORT)
        if connections.is_open(policies, labels[source], labels[target], port)
    }
    assert opened == wanted_connections(shop)


def wanted_connections(shop: Topology) -> set[tuple[str, str, int]]:
    calls = {
        (service.name, callee, facts.PORT)
        for service in shop.services
        for callee in (*service.needs, *(("accounts",) if service.reads_jwks else ()))
    }
    from_gateway = {("gateway", service.name, facts.PORT) for service in shop.services if service.paths}
    owners = [service.name for service in shop.services if service.has_database]
    to_database = {
        (name, "postgresql", facts.DATABASE_PORT)
        for name in (*owners, "databases", *(f"seed-{owner}" for owner in owners))
    }
    return calls | from_gateway | to_database


@BOTH
def test_from_outside_only_the_gateway_can_be_reached(shop: Topology) -> None:
    policies = of_kind(shop, "NetworkPolicy")
    reached = [
        name
        for name, pod in pods(shop).items()
        for port in (facts.PORT, facts.PUBLIC_PORT, facts.DATABASE_PORT)
        if connections.lets_anybody_in(policies, pod["metadata"]["labels"], port)
    ]
    assert reached == ["gateway"]


def test_a_missing_policy_would_be_found() -> None:
    policies = [each for each in of_kind(SPLIT, "NetworkPolicy") if each["metadata"]["name"] == "all-closed"]
    shop = {name: pod["metadata"]["labels"] for name, pod in pods(SPLIT).items()}
    assert not connections.is_open(policies, shop["orders"], shop["payments"], facts.PORT)
    assert connections.is_open([], shop["catalog"], shop["payments"], facts.PORT)


@BOTH
def test_no_container_has_more_rights_than_it_needs(shop: Topology) -> None:
    for pod in pods(shop).values():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] >= 999
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert all(set(volume) & {"emptyDir", "configMap", "secret"} for volume in spec["volumes"])
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


@BOTH
def test_the_namespace_refuses_pods_with_more_rights(shop: Topology) -> None:
    for namespace in of_kind(shop, "Namespace"):
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@BOTH
def test_every_container_asks_for_cpu_and_memory_and_has_a_limit_of_memory(shop: Topology) -> None:
    for pod in pods(shop).values():
        for container in containers(pod):
            asked, limits = container["resources"]["requests"], container["resources"]["limits"]
            assert set(asked) == {"cpu", "memory"}
            assert limits == {"memory": asked["memory"]}


@BOTH
def test_what_serves_has_three_probes_and_lets_requests_end_before_it_stops(shop: Topology) -> None:
    for each in of_kind(shop, "Deployment"):
        spec = each["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
        pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert spec["terminationGracePeriodSeconds"] >= pause + 10
        assert spec["topologySpreadConstraints"][0]["topologyKey"] == "kubernetes.io/hostname"


@BOTH
def test_a_rollout_and_an_emptied_node_leave_replicas_that_serve(shop: Topology) -> None:
    budgets = {each["metadata"]["name"]: each["spec"] for each in of_kind(shop, "PodDisruptionBudget")}
    for each in of_kind(shop, "Deployment"):
        assert each["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        budget = budgets.pop(each["metadata"]["name"])
        assert budget["selector"] == each["spec"]["selector"]
    assert budgets == {}


@BOTH
def test_an_autoscaler_and_not_the_deployment_says_how_many_replicas(shop: Topology) -> None:
    (autoscaler,) = of_kind(shop, "HorizontalPodAutoscaler")
    deployments = {each["metadata"]["name"]: each["spec"] for each in of_kind(shop, "Deployment")}
    assert autoscaler["spec"]["scaleTargetRef"]["name"] in deployments
    assert all("replicas" not in spec for spec in deployments.values())


@BOTH
def test_the_launcher_follows_the_policy_of_the_overlay(shop: Topology) -> None:
    overlay = facts.ROOT / shop.name / "kubernetes/overlays/autoscale"
    (policy,) = read_policies(overlay / f"{AUTOSCALED[shop.name]}-autoscaler.yaml")
    assert policy.target in {service.name for service in shop.services}


@BOTH
def test_each_address_in_an_environment_is_a_service_of_the_namespace(shop: Topology) -> None:
    names = {each["metadata"]["name"] for each in of_kind(shop, "Service")}
    for name, pod in pods(shop).items():
        for container in pod["spec"]["containers"]:
            env = {each["name"]: each.get("value", "") for each in container.get("env", [])}
            urls = {key: value for key, value in env.items() if key.endswith("_URL")}
            assert {value.removeprefix("http://").partition(":")[0] for value in urls.values()} <= names
            if name in {service.name for service in shop.services}:
                service = shop.service(name)
                assert set(urls) == {f"SHOP_{each.upper()}_URL" for each in shop.addresses_for(service)}


@BOTH
def test_every_secret_that_a_pod_names_is_made_and_none_is_committed(shop: Topology) -> None:
    printed = CliRunner().invoke(cli.cli, ["kubernetes", "secrets", "--shop", shop.name])
    made = {each["metadata"]["name"]: each for each in yaml.safe_load_all(printed.output)}
    for each in made.values():
        validate(each, NEWEST[-1], strict=True)
    named = set()
    for pod in pods(shop).values():
        for container in containers(pod):
            named |= {source["secretRef"]["name"] for source in container.get("envFrom", [])}
        named |= {volume["secret"]["secretName"] for volume in pod["spec"]["volumes"] if "secret" in volume}
    assert named <= set(made)
    assert of_kind(shop, "Secret") == []


@BOTH
def test_the_optional_route_leads_to_the_gateway(shop: Topology) -> None:
    component = facts.ROOT / shop.name / "kubernetes/components/http-route"
    assert yaml.safe_load((component / "kustomization.yaml").read_text())["kind"] == "Component"
    (route,) = kustomize.documents(component / "http-route.yaml")
    (backend,) = route["spec"]["rules"][0]["backendRefs"]
    (service,) = (each for each in of_kind(shop, "Service") if each["metadata"]["name"] == backend["name"])
    assert service["spec"]["ports"][0]["port"] == backend["port"]


def test_explain_names_every_part_with_what_it_asks_for() -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(cli.cli, ["kubernetes", "explain"])
    for name in (*(service.name for service in SPLIT.services), "gateway", "postgresql"):
        assert name in result.output
    assert "300m" in result.output


def test_check_names_the_stale_file_and_the_next_step(tmp_path: Path) -> None:
    made = dict(files.for_clusters())
    files.write(tmp_path, made, lambda _: None)
    assert files.stale(tmp_path, made) == []
    (tmp_path / "monolith/kubernetes/base/gateway.yaml").write_text("# mine\n")
    assert files.stale(tmp_path, made) == ["monolith/kubernetes/base/gateway.yaml"]


def test_a_service_without_public_paths_is_unknown_to_the_gateway() -> None:
    shop = Topology("microservices", (Service("inner", ()), Service("outer", (), paths=("/",))))
    names = [each["metadata"]["name"] for each in objects.of_service(shop, shop.service("inner"))]
    assert "inner-replicas" not in names
