"""A server that stands in for a shop or a service: what it answers is a function of what it is asked.

    with StandIn(lambda asked: (200, {"path": asked.path})) as shop:
        ...  # ask at shop.url; shop.asked is what came

A test says in a few lines what the other side does, and nothing of HTTP is written again.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"
HANG_SECONDS = 20.0
POLL_SECONDS = 0.02
"""How often the server looks whether it is to end."""


class NoAnswer(Enum):
    """What can be done instead of answering."""

    HANG = "say nothing until `forget`, `close` or the longest wait is over, then close the connection"
    LOSE = "close the connection at once"


HANG, LOSE = NoAnswer
Whole = tuple[int, Any] | tuple[int, Any, Mapping[str, str]]
"""Status, what is sent as JSON (bytes as they are, None as nothing) and headers besides the usual ones."""


@dataclass(frozen=True)
class Drip:
    """An answer whose body is sent one byte at a time, as by a server that works but is far too slow."""

    answer: Whole
    pause: float
    """Seconds after each byte."""


Answer = Whole | Drip | NoAnswer


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    """With the query."""
    headers: Message
    """Case is ignored in names; `headers[name]` is None for one that was not sent."""
    body: bytes

    @property
    def route(self) -> str:
        """The path without the query."""
        return urlsplit(self.path).path

    @property
    def query(self) -> dict[str, str]:
        """The first value of each parameter."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}


class StandIn:
    """Listens on a loopback port, a free one by default, until it is closed.

    `respond` is called in a thread of each connection.
    """

    def __init__(
        self, respond: Callable[[Asked], Answer], *, hang_seconds: float = HANG_SECONDS, port: int = 0
    ) -> None:
        self.asked: list[Asked] = []
        self.respond = respond
        self.hang_seconds = hang_seconds
        self.let_go = threading.Event()
        """Set when those that hang now need to hang no longer."""
        self._server = _Server((HOST, port), _Handler)
        self._server.stand_in = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), name="stand-in", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """Where to ask."""
        return f"http://{HOST}:{self.port}"

    def forget(self) -> None:
        """Let go of what hangs, and forget what was asked."""
        self.let_go.set()
        self.let_go = threading.Event()
        self.asked.clear()

    def close(self) -> None:
        """Let go of what hangs, and take no more connections."""
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    stand_in: StandIn

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report what `respond` raised; a client that hangs up made no mistake."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # Head and body in one packet: two would wait 40 ms for each other (Nagle, delayed ACK).
    wbufsize = -1
    disable_nagle_algorithm = True

    def answer(self) -> None:
        stand_in = self.server.stand_in
        let_go = stand_in.let_go
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = Asked(self.command, self.path, self.headers, body)
        stand_in.asked.append(asked)
        answer = stand_in.respond(asked)
        if answer is HANG:
            let_go.wait(stand_in.hang_seconds)
        if isinstance(answer, NoAnswer):
            self.close_connection = True
        else:
            whole, pause = (answer.answer, answer.pause) if isinstance(answer, Drip) else (answer, 0.0)
            with suppress(OSError):
                content = self._send_head(*whole)
                for piece in [content[n : n + 1] for n in range(len(content))] if pause else [content]:
                    self.wfile.write(piece)
                    if pause:
                        self.wfile.flush()
                        let_go.wait(pause)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 -- the names are http.server's

    def _send_head(self, status: int, document: Any, headers: Mapping[str, str] | None = None) -> bytes:
        """Send all but the body, and return that."""
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        content = b"" if document is None else content
        kind = "application/json" if status < 400 else "application/problem+json"
        usual = {"Content-Type": kind, "Content-Length": str(len(content))}
        self.send_response(status)
        for name, value in {**usual, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        return content

    def log_message(self, *_: object) -> None:
        """Say nothing: a test's output is its own."""
