"""`monolith serve` as a real process: slow clients, and a closed terminal."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

STALLED = 200
HEAD = (
    b"POST /api/sessions HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: 50\r\n"
)

pytestmark = pytest.mark.processes


def get(port: int, path: str, timeout: float = 5) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(config, port) -> Iterator[subprocess.Popen[bytes]]:
    own = {"SHOP_HOME": str(config.home), "SHOP_DATABASE_URL": config.database_url}
    env = {name: value for name, value in os.environ.items() if not name.startswith("SHOP_")} | own
    process = subprocess.Popen(
        [sys.executable, "-m", "monolith.cli", "serve", "--port", str(port)],
        env=env,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if get(port, "/readyz") == 200:
                break
        except OSError:
            time.sleep(0.02)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)


@pytest.mark.parametrize(
    ("sent", "clients"), [(HEAD + b"\r\n{", STALLED), (HEAD, 2 * STALLED)], ids=["in the body", "in the head"]
)
def test_clients_that_stop_in_the_middle_of_a_request_hold_up_nobody(server, port, sent, clients):
    with ExitStack() as stack:
        for _ in range(clients):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            client.sendall(sent)
        assert answers_within_a_second(port, "/api/products/P00001")
        assert answers_within_a_second(port, "/products/P00001")


def answers_within_a_second(port: int, path: str) -> bool:
    """Whether one of ten attempts gets its answer so soon: the first ones may meet a busy machine."""
    for _ in range(10):
        with suppress(TimeoutError):
            return get(port, path, timeout=1) == 200
    return False


def test_a_body_that_ends_early_is_answered_400_and_has_no_effect(server, port):
    form = "application/x-www-form-urlencoded"
    whole = json.dumps({"email": "early@example.com", "password": "long enough", "name": "Early"})
    for path, kind in (("/api/customers", "application/json"), ("/sign-in", form), ("/nowhere", form)):
        head = (
            f"POST {path} HTTP/1.1\r\nHost: shop\r\nContent-Type: {kind}\r\nContent-Length: {len(whole) + 1}"
        )
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(f"{head}\r\n\r\n{whole}".encode())
            client.shutdown(socket.SHUT_WR)
            response = http.client.HTTPResponse(client)
            response.begin()
            assert response.status == 400
            if path.startswith("/api"):
                assert json.loads(response.read())["type"] == "/problems/malformed-request"
    registered = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    registered.request("POST", "/api/customers", whole, {"Content-Type": "application/json"})
    assert registered.getresponse().status == 201  # so the first one was not carried out
    registered.close()


def test_a_closed_terminal_ends_the_shop(server, port):
    os.killpg(server.pid, signal.SIGHUP)
    assert server.wait(timeout=15) == 0
    with pytest.raises(ConnectionRefusedError):
        get(port, "/healthz")
