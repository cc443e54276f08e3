"""compose.yaml, the Dockerfile and what they read: fresh, closed, and without secrets."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from microservices import cli
from microservices.deployment import facts, files, gateway_files
from microservices.launcher.gateway import caddy
from microservices.topology import MONOLITH, SPLIT

ROOT = facts.ROOT
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
REPLICAS = [service.name for service in (*SPLIT.services, *MONOLITH.services)]
GATEWAYS = ("gateway", "monolith-gateway")
OURS = [name for name, service in SERVICES.items() if not str(service["image"]).startswith("$")]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_the_files_are_as_the_topology_says() -> None:
    assert files.stale(ROOT, files.for_containers()) == []


def test_check_ends_with_the_next_step_when_a_file_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "as the topology says" in CliRunner().invoke(cli.cli, ["containers", "check"]).output
    monkeypatch.setattr(files, "for_containers", lambda: {"compose.yaml": "name: other\n"})
    error = CliRunner().invoke(cli.cli, ["containers", "check"]).exception
    assert str(error) == "Stale: compose.yaml. Run: microservices containers make"


def test_each_shop_is_a_profile() -> None:
    split = {name for name, service in SERVICES.items() if "microservices" in service["profiles"]}
    block = {name for name, service in SERVICES.items() if "monolith" in service["profiles"]}
    assert split | block == set(SERVICES)
    assert split & block == {"postgresql", "databases"}
    assert {service.name for service in SPLIT.services} <= split
    assert "monolith" in block


def test_only_the_gateways_can_be_reached_and_only_from_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == set(GATEWAYS)
    for ports in published.values():
        assert all(port.startswith("127.0.0.1:") for port in ports)
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    outside = [name for name, service in SERVICES.items() if "outside" in service["networks"]]
    assert sorted(outside) == sorted(GATEWAYS)


@pytest.mark.parametrize("name", OURS)
def test_a_container_of_ours_can_change_nothing_and_has_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True


@pytest.mark.parametrize("name", [*REPLICAS, *GATEWAYS, "postgresql"])
def test_what_stays_has_a_health_check_and_limits(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}


@pytest.mark.parametrize("service", SPLIT.services, ids=lambda service: service.name)
def test_a_service_is_given_the_addresses_that_the_topology_says_and_no_others(service: Any) -> None:
    ports = gateway_files.ContainerNames(SPLIT).internal
    given = SERVICES[service.name]["environment"]
    urls = {name: value for name, value in given.items() if name.endswith("_URL")}
    assert urls == {
        f"SHOP_{name.upper()}_URL": f"http://gateway:{ports[name]}" for name in SPLIT.addresses_for(service)
    }


@pytest.mark.parametrize("service", SPLIT.with_database, ids=lambda service: service.name)
def test_a_service_starts_when_its_database_is_filled(service: Any) -> None:
    assert set(SERVICES[service.name]["depends_on"]) == {f"seed-{service.name}"}
    assert "--if-empty" in SERVICES[f"seed-{service.name}"]["command"]
    assert SERVICES[f"seed-{service.name}"]["volumes"] == ["dataset:/shop/dataset:ro"]


def test_the_gateway_opens_when_every_service_is_healthy() -> None:
    waits = SERVICES["gateway"]["depends_on"]
    assert set(waits) == {service.name for service in SPLIT.services}
    assert {each["condition"] for each in waits.values()} == {"service_healthy"}


@pytest.mark.parametrize("topology", [SPLIT, MONOLITH], ids=lambda topology: topology.name)
def test_every_slot_of_the_gateway_is_the_name_of_a_container_that_compose_may_start(topology: Any) -> None:
    names = gateway_files.ContainerNames(topology)
    for service in topology.services:
        assert names.replicas(service.name) == tuple(
            f"{COMPOSE['name']}-{service.name}-{number}:{facts.PORT}"
            for number in range(1, service.slots + 1)
        )


CONFIGURATIONS = [
    "containers/gateway-microservices.json",
    "containers/gateway-monolith.json",
    "microservices/kubernetes/base/gateway.json",
    "monolith/kubernetes/base/gateway.json",
]


@pytest.mark.processes
@pytest.mark.parametrize("path", CONFIGURATIONS)
def test_caddy_accepts_the_configuration(path: str) -> None:
    done = subprocess.run(
        [caddy(), "validate", "--config", ROOT / path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_in_a_cluster_the_gateway_probes_nothing_and_knows_only_public_services() -> None:
    (server,) = json.loads((ROOT / CONFIGURATIONS[2]).read_text())["apps"]["http"]["servers"].values()
    assert set(server["named_routes"]) == {service.name for service in SPLIT.services if service.paths}
    assert '"active"' not in json.dumps(server)
    assert server["listen"] == [f":{facts.PUBLIC_PORT}"]


def test_no_file_that_is_committed_has_a_secret() -> None:
    made = {**files.for_containers(), **files.for_clusters()}
    for path, text in made.items():
        for variable in ("SHOP_SERVICE_KEY", "SHOP_TRUSTED_KEYS", "SHOP_DATABASE_URL"):
            assert variable not in text, path


def test_each_image_has_one_service_and_the_chassis() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    of_the_split = [path for line in copied for path in line.split() if path.startswith("microservices")]
    assert of_the_split == [
        "microservices/__init__.py",
        "microservices/seeding.py",
        "microservices/chassis",
        "microservices/${SERVICE:?is-missing}",
    ]


def test_the_base_image_is_named_with_its_digest() -> None:
    assert re.search(r"^ARG BASE=python:[\w.-]+@sha256:[0-9a-f]{64}$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"postgres:[\w.-]+@sha256:[0-9a-f]{64}", facts.POSTGRES_IMAGE)


def test_every_file_that_the_dockerfile_copies_is_let_through_and_exists() -> None:
    allowed = [
        line[1:].removesuffix("/**")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line[:1] == "!"
    ]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    for path in (path for line in copied for path in line.split() if "$" not in path):
        assert (ROOT / path).exists(), path
        assert any(path == start or path.startswith(f"{start}/") for start in allowed), path


def test_docker_understands_the_compose_file(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("docker with compose is not installed")
    shutil.copy(ROOT / "compose.yaml", tmp_path)
    (tmp_path / ".shop/containers").mkdir(parents=True)
    for name in (*REPLICAS, "postgresql"):
        (tmp_path / f".shop/containers/{name}.env").touch()
    done = subprocess.run(
        [docker, "compose", "--profile", "*", "config", "--quiet"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
