"""Both shops in real containers: built, composed, scaled, bought from, and stopped under load.

`make containers` runs it, for three minutes, where a Docker engine with Compose answers. The times and sizes that it
measures are the ones in docs/containers.md.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from microservices.chaos.client import History
from microservices.chaos.load import PLENTY, Buyer, Load, set_stock
from microservices.deployment import facts
from microservices.deployment.tests.engine import (
    Composed,
    base_image,
    docker,
    engine_or_skip,
    inspect,
    run_in,
)
from microservices.tests.conftest import call, wait_until
from microservices.topology import SPLIT

pytestmark = [pytest.mark.containers, pytest.mark.processes]

PORTS = {"microservices": 8080, "monolith": 8000}
SCALE = {"recommendations": 2, "orders": 2, "payments": 2, "catalog": 2}
SERVICES = [service.name for service in SPLIT.services]
MEGABYTE = 1_000_000
MAX_MEGABYTES = 90
"""That an image may have above its base."""
MAX_START_SECONDS = 2.5
MAX_UP_SECONDS = 90
FEW = (("browser", 1), ("widget", 1), ("buyer", 2))
"""The customers who are in the shop while replicas stop."""

FROM_ELSEWHERE = [
    "loadtests/contract/acceptance/test_accounts.py::test_a_stranger_elsewhere_cannot_keep_a_customer_out",
    "loadtests/contract/acceptance/test_accounts.py::test_a_stranger_cannot_keep_a_customer_out_of_the_pages_either",
]
"""Not asked of a composed shop: behind an engine's published port all clients have one address, see SECURITY.md."""

START = """
import socket, subprocess, sys, time
began = time.monotonic()
server = subprocess.Popen(sys.argv[1:])
while True:
    try:
        with socket.create_connection(("127.0.0.1", 8000)) as connection:
            connection.sendall(b"GET /readyz HTTP/1.0\\r\\n\\r\\n")
            if b" 200 " in connection.recv(64):
                break
    except OSError:
        time.sleep(0.01)
print(time.monotonic() - began)
server.terminate()
server.wait()
"""
"""Starts a replica in a container that runs already, so that the engine's own time is left out."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Composed:
    engine_or_skip()
    composed = Composed.in_folder(tmp_path_factory.mktemp("composed"))
    composed.build()
    return composed


@pytest.fixture(scope="module")
def shops(images: Composed) -> Iterator[Composed]:
    try:
        images.up("gateway", scale=SCALE)
        began = time.monotonic()
        buy(PORTS["microservices"])
        images.seconds["first order"] = round(time.monotonic() - began, 1)
        images.up("monolith-gateway")
        yield images
    finally:
        images.compose("down", "--volumes", "--timeout", "2")
        sys.stderr.write(f"\nmeasured: {images.seconds}\n")


def buy(port: int) -> None:
    """Register, sign in, fill a cart and pay, with the retries that docs/api.md allows; the shop confirms the order."""
    history = History()
    buyer = Buyer(port, history, random.Random(1))
    try:
        buyer.buy(PLENTY[0])
    finally:
        buyer.close()
    assert [checkout.status for checkout in history.checkouts][-1:] == [201], history.statuses()


def files_in(image: str, folder: str) -> list[str]:
    return run_in(image, "find", folder, "-type", "f").split()


@pytest.mark.parametrize("name", [*SERVICES, "monolith", "gateway"])
def test_an_image_is_small(images: Composed, name: str) -> None:
    above = (inspect(facts.image(name))["Size"] - inspect(base_image())["Size"]) / MEGABYTE
    images.seconds[f"MB of {name}"] = round(above, 1)
    assert 0 < above <= MAX_MEGABYTES


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_has_the_code_of_one_service(images: Composed, name: str) -> None:
    found = files_in(facts.image(name), "/app")
    assert {path.split("/")[3] for path in found if path.count("/") > 3} == {name, "chassis", "__pycache__"}
    assert not [path for path in found if "/tests/" in path or "kubernetes" in path]


@pytest.mark.parametrize("name", ["orders", "monolith"])
def test_all_code_in_an_image_is_compiled_and_nothing_can_install_more(images: Composed, name: str) -> None:
    found = set(files_in(facts.image(name), "/app"))
    for path in (path for path in found if path.endswith(".py")):
        folder, _, file = path.rpartition("/")
        assert any(each.startswith(f"{folder}/__pycache__/{file[:-3]}.") for each in found), path
    packages = files_in(facts.image(name), "/packages")
    assert packages
    assert not [path for path in packages if path.endswith(".py") or "/pip/" in path]
    assert "No module named pip" in run_in(
        facts.image(name), "sh", "-c", "python -m pip --version 2>&1 || true"
    )


@pytest.mark.parametrize("name", ["catalog", "monolith", "gateway"])
def test_a_process_has_no_rights_and_can_change_no_file(images: Composed, name: str) -> None:
    image = facts.image(name)
    assert inspect(image)["Config"]["User"] == "10001:10001"
    assert run_in(image, "id", "-u").strip() == "10001"
    writable = run_in(image, "sh", "-c", "find / -xdev -type f -writable 2>/dev/null; true")
    assert writable == ""


@pytest.mark.timed
@pytest.mark.parametrize("name", ["catalog", "orders", "monolith"])
def test_a_replica_is_ready_soon_after_its_start(images: Composed, name: str) -> None:
    settings = {
        "SHOP_DATABASE_URL": "sqlite:////tmp/shop.sqlite3",
        "SHOP_HOME": "/tmp/home",
        **{f"SHOP_{each.upper()}_URL": "http://127.0.0.1:1" for each in SERVICES},
    }
    command = (
        ["python", "-m", "monolith.cli", "serve"]
        if name == "monolith"
        else ["python", "-m", "microservices.chassis.serve", f"microservices.{name}.app"]
    )
    if name == "monolith":  # it serves no empty shop
        command = ["sh", "-c", f"touch /tmp/shop.sqlite3; exec {' '.join(command)}"]
    env = [part for item in settings.items() for part in ("--env", "=".join(item))]
    seconds = float(run_in_with(env, facts.image(name), "python", "-c", START, *command).split()[-1])
    images.seconds[f"start of {name}"] = round(seconds, 2)
    assert seconds <= MAX_START_SECONDS


def run_in_with(env: list[str], image: str, *command: str) -> str:
    return run_in(*env, image, *command)


@pytest.mark.timed
def test_the_shop_sells_soon_after_up(shops: Composed) -> None:
    assert shops.seconds["up gateway"] + shops.seconds["first order"] <= MAX_UP_SECONDS


@pytest.mark.parametrize("shop", PORTS)
def test_a_customer_can_buy(shops: Composed, shop: str) -> None:
    buy(PORTS[shop])


@pytest.mark.parametrize("shop", PORTS)
def test_the_composed_shop_keeps_the_contract(shops: Composed, shop: str) -> None:
    url = f"http://127.0.0.1:{PORTS[shop]}"
    suite = ["-m", "pytest", "-q", "-m", "not full", "loadtests/contract/acceptance", "--shop-url", url]
    suite += [f"--deselect={test}" for test in FROM_ELSEWHERE]
    done = subprocess.run(
        [sys.executable, *suite, "-n", "0", "-p", "no:cacheprovider"],
        cwd=facts.ROOT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]


def test_only_the_gateways_ports_are_published_and_only_on_loopback(shops: Composed) -> None:
    published = {}
    for container in docker("ps", "--format", "{{.Names}}").split():
        if ports := docker("port", container).split("\n")[:-1]:
            published[container] = ports
    assert published == {
        "shop-gateway-1": ["8080/tcp -> 127.0.0.1:8080"],
        "shop-monolith-gateway-1": ["8080/tcp -> 127.0.0.1:8000"],
    }


@pytest.mark.timed
@pytest.mark.parametrize("service", SCALE)
def test_a_replica_that_is_stopped_under_load_loses_no_request(shops: Composed, service: str) -> None:
    port, container = PORTS["microservices"], f"shop-{service}-2"
    set_stock(port)
    with Load(port, personas=FEW) as load:
        let_pass(load, 40)
        try:
            docker("stop", container)
            assert inspect(container)["State"]["ExitCode"] == 0
            let_pass(load, 20)
        finally:
            docker("start", container)
        wait_until(lambda: health(container) == "healthy", 60)
        let_pass(load, 20)
    assert load.errors == []
    assert [attempt for attempt in load.history.attempts if attempt.failed] == []


def let_pass(load: Load, requests: int) -> None:
    """Wait until the customers have sent so many more requests."""
    wanted = len(load.history.attempts) + requests
    wait_until(lambda: len(load.history.attempts) >= wanted, 120)


def health(container: str) -> str:
    return str(inspect(container)["State"]["Health"]["Status"])


def test_new_replicas_get_requests(shops: Composed) -> None:
    shops.compose(
        "up", "--detach", "--wait", "--no-build", "--no-recreate",
        *(f"--scale={name}={count}" for name, count in (SCALE | {"recommendations": 4}).items()),
        "gateway",
    )  # fmt: skip
    containers = [f"shop-recommendations-{number}" for number in range(1, 5)]
    before = {container: answered(container) for container in containers}

    def all_were_asked() -> bool:
        for number in range(40):
            path = f"/api/products/P{number + 1:05}/recommendations"
            assert call(PORTS["microservices"], "GET", path).status == 200
        return all(answered(container) > before[container] for container in containers)

    wait_until(all_were_asked, 60)


def answered(container: str) -> float:
    """How many recommendations a replica has answered, by its own count."""
    read = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/metrics').read().decode())"
    lines = docker("exec", container, "python", "-c", read).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"http_requests_total{{{GET}"))


GET = 'method="GET",route="/api/products/<sku>/recommendations"'


def test_orders_outlive_the_containers(shops: Composed) -> None:
    count = orders_stored()
    buy(PORTS["microservices"])
    shops.compose("rm", "--stop", "--force", "orders", "seed-orders", "postgresql", "databases")
    scales = [f"--scale={name}={number}" for name, number in SCALE.items()]
    shops.compose("up", "--detach", "--wait", "--no-build", *scales, "gateway", "monolith-gateway")
    assert orders_stored() > count


def orders_stored() -> int:
    query = "SELECT count(*) FROM orders WHERE step IN ('paid', 'settled')"
    command = ("psql", "-U", "postgres", "-d", "shop_orders", "-Atc", query)
    return int(docker("exec", "shop-postgresql-1", *command))
