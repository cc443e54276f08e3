"""Each toxic does what its name says, and has no effect after it was removed."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing

import pytest

from microservices.chaos.faultproxy import FaultProxy
from microservices.tests.conftest import wait_until

ANSWER = b"0123456789" * 10


class Echo:
    """A server that answers each line with ANSWER, and records the lines."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            try:
                for line in lines:
                    self.lines.append(line)
                    connection.sendall(ANSWER)
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def echo():
    with closing(Echo()) as echo:
        yield echo


@pytest.fixture
def proxy(echo):
    with FaultProxy(echo.port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy):
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
        yield client


def ask(client):
    """Send a line; returns the answer, as far as it comes, and the seconds that it took."""
    started = time.monotonic()
    client.sendall(b"hello\n")
    answer = b""
    while len(answer) < len(ANSWER) and (part := client.recv(len(ANSWER) - len(answer))):
        answer += part
    return answer, time.monotonic() - started


def test_without_a_toxic_everything_passes(client, echo):
    assert ask(client)[0] == ANSWER
    assert echo.lines == [b"hello\n"]


def test_latency_delays_each_answer_on_connections_that_are_already_open_too(proxy, client):
    ask(client)
    with proxy.toxic("latency", latency=200):
        answer, seconds = ask(client)
    assert (answer, seconds >= 0.2) == (ANSWER, True)
    assert ask(client)[1] < 0.2


def test_latency_can_delay_the_request(proxy, client, echo):
    with proxy.toxic("latency", "upstream", latency=200):
        assert ask(client)[1] >= 0.2


def test_timeout_drops_the_answer_and_then_closes_the_connection(proxy, client):
    with proxy.toxic("timeout", timeout=100):
        answer, seconds = ask(client)
    assert (answer, seconds >= 0.1) == (b"", True)


def test_timeout_without_a_time_hangs_until_the_toxic_is_removed(proxy, client, echo):
    client.settimeout(0.2)
    with proxy.toxic("timeout"), pytest.raises(TimeoutError):
        ask(client)
    client.settimeout(5)
    assert client.recv(1) == b""
    assert echo.lines == [b"hello\n"]


def test_an_upstream_timeout_stops_the_request(proxy, client, echo):
    with proxy.toxic("timeout", "upstream", timeout=50):
        assert ask(client)[0] == b""
    assert echo.lines == []


@pytest.mark.parametrize(
    ("body", "said"),
    [(0, b"No replica is free"), (1, b'[{"sku"'), (2, b'{"unexpected": "field"}'), (3, b"[1, null]")],
)
def test_answer_replaces_the_answer_after_the_server_did_its_work(proxy, client, echo, body, said):
    with proxy.toxic("answer", status=503, body=body):
        client.sendall(b"hello\n")
        answer = b"".join(iter(lambda: client.recv(1000), b""))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert said in answer
    assert (echo.lines, proxy.answered) == ([b"hello\n"], 1)


def test_reset_peer_resets(proxy, client):
    with proxy.toxic("reset_peer"), pytest.raises(ConnectionResetError):
        ask(client)


def test_slicer_sends_the_answer_in_pieces(proxy, client):
    with proxy.toxic("slicer", average_size=25, delay=50_000):
        answer, seconds = ask(client)
    assert (answer, seconds >= 4 * 0.05) == (ANSWER, True)


def test_limit_data_cuts_the_answer_off(proxy, client):
    with proxy.toxic("limit_data", bytes=42):
        assert ask(client)[0] == ANSWER[:42]


def test_without_an_upstream_the_connection_is_closed():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with FaultProxy(port) as proxy, socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
        assert client.recv(1) == b""


@pytest.mark.parametrize(
    ("kind", "attributes", "sentence"),
    [
        (
            "gremlins",
            {},
            "There is no toxic gremlins; the toxics are latency, timeout, reset_peer, slicer, limit_data.",
        ),
        ("latency", {"delay": 1}, "latency has no delay; it has latency, jitter."),
    ],
)
def test_an_unknown_toxic_or_attribute_is_refused(proxy, kind, attributes, sentence):
    with pytest.raises(ValueError, match=sentence), proxy.toxic(kind, **attributes):
        pass


def test_the_proxy_leaves_no_thread(echo):
    with FaultProxy(echo.port) as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as client:
        ask(client)
    wait_until(lambda: "fault-proxy" not in {thread.name for thread in threading.enumerate()})
