from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from microservices.launcher import Fleet
from microservices.launcher.environment import FLEET_ID_VARIABLE
from microservices.launcher.gateway import Settings
from microservices.topology import Service, Topology

PYTHON = sys.executable
LAUNCH = str(Path(__file__).with_name("launch.py"))
ECHO = (str(Path(__file__).with_name("echo_service.py")),)
SHORT_TIMEOUTS = Settings(header_timeout=1.0, probe_timeout=0.4)


def stub_topology(contract: Path) -> Topology:
    return Topology(
        "stub",
        (
            Service(
                "alpha",
                ECHO,
                paths=("/api/alpha", "/api/things/*/alpha"),
                keyed_posts=("/api/alpha",),
                needs=("beta",),
            ),
            Service("beta", ECHO, paths=("/api/things",), reads_jwks=True),
            Service("accounts", ECHO, paths=("/",), has_database=False, threads=2),
        ),
        files=(("/api/openapi.yaml", contract),),
    )


@pytest.fixture(scope="session")
def topology(tmp_path_factory: pytest.TempPathFactory) -> Topology:
    contract = tmp_path_factory.mktemp("docs") / "openapi.yaml"
    contract.write_text("openapi: 3.1.0\n")
    return stub_topology(contract)


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Check at the end that no process of a test's fleet is left."""
    yield
    homes = str(tmp_path_factory.getbasetemp())
    assert [pid for pid, env in environments() if env.get("SHOP_HOME", "").startswith(homes)] == []


@pytest.fixture
def start(topology: Topology, tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Start fleets of stubs, of `topology` or another one; they are stopped after the test."""
    fleets: list[Fleet] = []

    def start(other: Topology | None = None, **options: Any) -> Fleet:
        chosen: dict[str, Any] = {
            "data_dir": tmp_path,
            "home": tmp_path,
            "settings": SHORT_TIMEOUTS,
            "ready_seconds": 20.0,
            **options,
        }
        fleet = Fleet(other or topology, **chosen)
        fleets.append(fleet)
        fleet.start()
        return fleet

    yield start
    for fleet in fleets:
        fleet.stop()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


def call(port: int, method: str, path: str, body: str | None = None, **headers: str) -> Answer:
    """One request on a new connection; `_` in a header's name becomes `-`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        response = connection.getresponse()
        return Answer(response.status, dict(response.headers.items()), response.read().decode())
    finally:
        connection.close()


def public_port(fleet: Fleet) -> int:
    return int(fleet.url.rpartition(":")[2])


def wait_until(happened: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s"
        time.sleep(0.02)


def environments() -> Iterator[tuple[int, dict[str, str]]]:
    """Pid and environment of every running process whose environment can be read."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process.pid, process.environ()


def processes_of_fleet(fleet_id: str) -> list[int]:
    return [pid for pid, env in environments() if env.get(FLEET_ID_VARIABLE) == fleet_id]


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@dataclass
class Traffic:
    """Constant requests on kept-alive connections. POSTs are the hard case, because the gateway does not retry them."""

    port: int
    sent: int = 0
    failures: list[str] = field(default_factory=list)
    served_by: set[str] = field(default_factory=set)

    @contextmanager
    def flowing(self, clients: int = 4) -> Iterator[None]:
        end = threading.Event()
        threads = [threading.Thread(target=self._client, args=(end, number)) for number in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            end.set()
            for thread in threads:
                thread.join()

    def _client(self, end: threading.Event, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        method = "GET" if number % 2 else "POST"
        while not end.wait(0.002):
            try:
                connection.request(method, "/api/alpha/x?sleep=0.003", "body" if method == "POST" else None)
                response = connection.getresponse()
                text = response.read().decode()
                self.sent += 1
                if response.status == 200:
                    self.served_by.add(json.loads(text)["port"])
                else:
                    self.failures.append(f"{method} {response.status} {text}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{method} {error!r}")
                connection.close()
        connection.close()
