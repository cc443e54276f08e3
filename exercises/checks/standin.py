"""A recommendations service made up for a check: it answers, hangs or fails as it is told, and remembers who asked.

    stand_in = StandIn()
    shop = bench.shop(env={"SHOP_RECOMMENDATIONS_URL": stand_in.url})
    stand_in.behave("hang")

It lives as long as the process, so that its address stays the same for every check of a run.
"""

from __future__ import annotations

import atexit
import json
import shutil
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

LONGEST_HANG = 20.0
Behaviour = Literal["answer", "hang", "lose", "refuse", "nonsense"]


@dataclass(frozen=True)
class Asked:
    """One request."""

    sku: str
    cart: tuple[str, ...]
    headers: Mapping[str, str]


@cache
def scratch() -> Path:
    """A folder for what a check writes besides; it stays the same for this process and is gone after it."""
    folder = Path(mkdtemp(prefix="exercises-check-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Server(ThreadingHTTPServer):
    """One thread for each connection; a client that hangs up is nobody's mistake here."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class StandIn:
    """Behaviours: answer (`items`), hang, lose (close the connection), refuse (503), nonsense (a wrong answer).

    With `every`, only each so-manieth request gets the behaviour, and the others are answered.
    """

    def __init__(self, items: tuple[str, ...] = ()) -> None:
        self.items = items
        self._asked: list[Asked] = []
        self._lock = threading.Lock()
        self._let_go = threading.Event()
        self._behaviour: Behaviour = "answer"
        self._every = 1
        self._server = Server(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, name="stand-in", daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def behave(self, behaviour: Behaviour, *, every: int = 1) -> None:
        """Be like this from now on; whoever hangs is let go, and what was asked is forgotten."""
        self._let_go.set()
        with self._lock:
            self._let_go = threading.Event()
            self._behaviour, self._every = behaviour, every
            self._asked.clear()

    def asked(self) -> list[Asked]:
        """The requests since `behave`."""
        with self._lock:
            return list(self._asked)

    def _arrived(self, path: str, headers: Mapping[str, str]) -> tuple[Asked, Behaviour, threading.Event]:
        split = urlsplit(path)
        cart = parse_qs(split.query).get("cart", [""])[0]
        asked = Asked(split.path.split("/")[3:4][0], tuple(filter(None, cart.split(","))), headers)
        with self._lock:
            self._asked.append(asked)
            mine = len(self._asked) % self._every == 0
            return asked, self._behaviour if mine else "answer", self._let_go

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body in one packet: two would wait 40 ms for each other (Nagle, delayed ACK).
            wbufsize = -1

            def do_GET(self) -> None:
                if not self.path.startswith("/api/products/"):
                    self._send(404, {"status": 404})
                    return
                asked, behaviour, let_go = stand_in._arrived(self.path, dict(self.headers))
                if behaviour == "hang":
                    let_go.wait(LONGEST_HANG)
                if behaviour in ("hang", "lose"):
                    self.close_connection = True
                elif behaviour == "refuse":
                    self._send(503, {"type": "/problems/unavailable", "title": "Not now", "status": 503})
                else:
                    items = ("NONSENSE",) if behaviour == "nonsense" else stand_in.items
                    found = [{"sku": sku, "score": 0.5} for sku in items]
                    self._send(200, {"sku": asked.sku, "items": found})

            def _send(self, status: int, document: dict[str, Any]) -> None:
                body = json.dumps(document).encode()
                with suppress(OSError):
                    self.send_response(status)
                    kind = "application/json" if status < 400 else "application/problem+json"
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
