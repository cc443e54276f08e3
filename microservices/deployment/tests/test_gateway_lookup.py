"""The gateway as a cluster has it: replicas are what a name stands for at the moment."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from microservices.launcher.addresses import HOST, Lookup
from microservices.launcher.gateway import caddy, configuration
from microservices.launcher.ports import Ports
from microservices.tests.conftest import call, wait_until
from microservices.topology import Service, Topology

pytestmark = pytest.mark.processes
SHOP = Topology("looked-up", (Service("pages", (), paths=("/",)),))


@dataclass(frozen=True)
class ByName:
    """Every service is at `localhost`, which each machine can look up."""

    public: int
    port: int
    host: str = HOST
    internal: Mapping[str, int] = field(default_factory=dict)

    def replicas(self, name: str) -> Lookup:
        return Lookup("localhost", self.port)


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def replica(port: int) -> Iterator[None]:
    server = ThreadingHTTPServer((HOST, port), Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def places(tmp_path: Path) -> Iterator[ByName]:
    """A running gateway, and the port at which a replica may listen."""
    ports = Ports(2)
    public, port = ports.numbers
    places = ByName(public, port)
    file = tmp_path / "gateway.json"
    file.write_text(json.dumps(configuration(SHOP, places)))
    gateway = subprocess.Popen(
        [caddy(), "run", "--config", file],
        env={"HOME": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: answers(places.public))
        yield places
    finally:
        gateway.terminate()
        gateway.wait(timeout=20)
        ports.release()


def answers(port: int) -> bool:
    try:
        return call(port, "GET", "/").status > 0
    except OSError:
        return False


def test_a_replica_is_found_by_its_name_as_soon_as_it_is_there(places: ByName) -> None:
    assert call(places.public, "GET", "/").status == 503
    with replica(places.port):
        wait_until(lambda: call(places.public, "GET", "/").status == 200)
        answer = call(places.public, "GET", "/cart?a=b")
        assert (answer.status, answer.text) == (200, "/cart?a=b")


def test_a_process_is_still_no_page_of_the_shop(places: ByName) -> None:
    with replica(places.port):
        wait_until(lambda: call(places.public, "GET", "/").status == 200)
        assert call(places.public, "GET", "/readyz").text == "/nowhere"
