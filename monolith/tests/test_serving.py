"""`monolith serve` as a real process: slow clients, and a closed terminal."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

STALLED = 200
HEAD = (
    b"POST /api/sessions HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: 50\r\n"
)

pytestmark = pytest.mark.processes


def get(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
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


@pytest.mark.parametrize("sent", [HEAD + b"\r\n{", HEAD], ids=["in the body", "in the head"])
def test_clients_that_stop_in_the_middle_of_a_request_hold_up_nobody(server, port, sent):
    with ExitStack() as stack:
        for _ in range(STALLED):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            client.sendall(sent)
        assert get(port, "/api/products/P00001") == 200
        assert get(port, "/products/P00001") == 200


def test_a_closed_terminal_ends_the_shop(server, port):
    os.killpg(server.pid, signal.SIGHUP)
    assert server.wait(timeout=15) == 0
    with pytest.raises(ConnectionRefusedError):
        get(port, "/healthz")
