"""A server on the loopback interface that misbehaves as told, and clients of it."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from microservices.chassis import context
from microservices.chassis.client import Upstream
from microservices.chassis.deadline import DeadlineAdapter
from microservices.chassis.observability import Metrics
from microservices.chassis.tokens import ServiceTokens
from microservices.tests.one_service import signing_key

Behaviour = Callable[["Connection"], None]


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Connection:
    """One connection of a client, with the request that it is about to be answered."""

    socket: socket.socket
    request: Request
    closing: threading.Event
    over: bool = False
    """The stub closes it after the answer, or instead of one."""

    def answer(self, status: int, document: Any, content_type: str = "application/json") -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.socket.sendall(head.encode() + body)

    def problem(self, status: int, slug: str, **facts: Any) -> None:
        document = {"type": f"/problems/{slug}", "title": "T", "status": status, "detail": "D", **facts}
        self.answer(status, document, "application/problem+json")

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.over = True

    def hang(self) -> None:
        self.closing.wait(10)
        self.over = True

    def cut_off(self) -> None:
        self.socket.sendall(
            b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"a":'
        )
        self.over = True

    def silent_after_the_head(self) -> None:
        self.closing.wait(0.4)
        self._head()
        self.hang()

    def trickle_on_a_connection_that_is_to_close(self) -> None:
        self._head("Connection: close\r\n")
        while not self.closing.wait(0.02):
            self.socket.sendall(b" ")

    def trickle_in_the_head(self) -> None:
        self.socket.sendall(b"HTTP/1.1 200 OK\r\nX-Endless: ")
        while not self.closing.wait(0.02):
            self.socket.sendall(b"x")

    def _head(self, more: str = "") -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n{more}\r\n"
        self.socket.sendall(head.encode())

    def trickle(self) -> None:
        self._head()
        while not self.closing.wait(0.02):
            self.socket.sendall(b" ")


@dataclass
class Stub:
    """Answers each request as `behave` says; remembers requests and counts connections."""

    behave: Behaviour = lambda connection: connection.answer(200, {"fine": True})
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    _closing: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _sockets: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._run(self._accept)

    def then(self, *behaviours: Behaviour) -> None:
        """Behave like the first for the first request, and so on; like the last from then on."""
        waiting = list(behaviours)

        def behave(connection: Connection) -> None:
            behaviour = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            behaviour(connection)

        self.behave = behave

    def close(self) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for accepted in self._sockets:
            with suppress(OSError):
                accepted.shutdown(socket.SHUT_RDWR)
            accepted.close()
        for thread in self._threads:
            thread.join(10)

    def _run(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.append(accepted)
            self._run(self._serve, accepted)

    def _serve(self, accepted: socket.socket) -> None:
        with suppress(OSError), accepted.makefile("rb") as file:  # OSError: the client closed the connection
            while (request := _read_request(file)) is not None:
                self.requests.append(request)
                connection = Connection(accepted, request, self._closing)
                self.behave(connection)
                if connection.over:
                    break
        accepted.close()


def _read_request(file: Any) -> Request | None:
    first = file.readline().decode()
    if not first:
        return None
    method, path, _ = first.split(" ")
    headers = {}
    while line := file.readline().decode().strip():
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    return Request(method, path, headers, file.read(int(headers.get("content-length", "0"))))


@pytest.fixture
def stub() -> Iterator[Stub]:
    stub = Stub()
    yield stub
    stub.close()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def tokens() -> ServiceTokens:
    return ServiceTokens("caller", signing_key().private_bytes_raw(), {})


@pytest.fixture
def upstream(stub: Stub, metrics: Metrics, tokens: ServiceTokens) -> Iterator[Upstream]:
    """A client of the stub with a timeout of half a second."""
    adapter = DeadlineAdapter(pool_maxsize=4)
    upstream = Upstream("stub", stub.url, adapter, timeout=0.5, tokens=tokens, metrics=metrics)
    yield upstream
    upstream.close()


@pytest.fixture
def here() -> Iterator[context.Context]:
    """The context of a request that is being served, with a minute left."""
    environ = {"HTTP_X_REQUEST_ID": "request-1", "HTTP_TRACEPARENT": f"00-{'a' * 32}-{'b' * 16}-01"}
    current = context.Context.begin(environ, 60)
    token = context.enter(current)
    yield current
    context.leave(token)
