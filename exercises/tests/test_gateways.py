"""The gateways of the course's solutions: no client can have a trusted header removed, or harm others with its body."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from microservices.chaos.standin import StandIn
from microservices.launcher.gateway import caddy

pytestmark = pytest.mark.processes
COURSE = Path(__file__).resolve().parents[1]
CADDYFILES = {
    str(file.parent.relative_to(COURSE)): file
    for file in sorted([*COURSE.glob("*/solution/Caddyfile"), *COURSE.glob("*/alt/*/Caddyfile")])
}
RECOMMENDATIONS = "/api/products/P00001/recommendations"
BROKEN = (
    "Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
    "Transfer-Encoding: chunked\r\n\r\n5\r\nx",
    "Content-Length: 50\r\n\r\nx",
)


@dataclass
class Gateway:
    port: int
    shop: StandIn
    """In the place of every process behind it."""

    def send(self, request: str) -> int:
        """The status of the answer to this request, after which nothing more is sent; 0 for none."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as client:
            client.sendall(request.encode())
            response = http.client.HTTPResponse(client)
            with suppress(http.client.HTTPException):
                response.begin()
                return response.status
        return 0


@pytest.fixture(params=CADDYFILES, scope="module")
def gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """Caddy with the file, before stand-ins."""
    with ExitStack() as stack:
        shop = stack.enter_context(StandIn(lambda _: (200, {})))
        names = ("SHOP_PORT", "SHOP_MONOLITH_PORT", "SHOP_RECOMMENDATIONS_PORT", "SHOP_CATALOG_PORT")
        ports = dict(zip(names, _free_ports(len(names)), strict=True))
        services = ("SHOP_MONOLITH_SLOTS", "SHOP_RECOMMENDATIONS_SLOTS", "SHOP_CATALOG_SLOTS")
        slots = dict.fromkeys(services, f"127.0.0.1:{shop.port}")
        env = {**os.environ, **{name: str(port) for name, port in ports.items()}, **slots}
        command: list[str | Path] = [
            caddy(),
            "run",
            "--adapter",
            "caddyfile",
            "--config",
            CADDYFILES[request.param],
        ]
        process = stack.enter_context(subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL))
        stack.callback(process.kill)
        found = Gateway(ports["SHOP_PORT"], shop)
        _wait_until_ready(found)
        yield found


def test_a_client_cannot_have_the_address_removed(gateway: Gateway) -> None:
    gateway.shop.forget()
    assert gateway.send("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close, X-Client-Address\r\n\r\n") == 200
    (asked,) = [asked for asked in gateway.shop.asked if asked.route == "/x"]
    assert asked.headers.get_all("X-Client-Address") == ["127.0.0.1"]


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_broken_body_closes_nothing_for_others(gateway: Gateway, method: str, broken: str) -> None:
    for path in (RECOMMENDATIONS, "/api/cart/items/P00001"):
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as client:
                client.sendall(f"{method} {path} HTTP/1.1\r\nHost: a\r\n{broken}".encode())
                client.shutdown(socket.SHUT_WR)
                with suppress(ConnectionError):
                    client.recv(100)
        assert gateway.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n") == 200


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _wait_until_ready(gateway: Gateway) -> None:
    deadline = time.monotonic() + 30
    while True:
        with suppress(OSError):
            if gateway.send(f"GET {RECOMMENDATIONS} HTTP/1.1\r\nHost: a\r\n\r\n") == 200:
                return
        assert time.monotonic() < deadline, "the gateway did not start"
        time.sleep(0.05)
