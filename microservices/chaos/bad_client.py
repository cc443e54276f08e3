"""A client that sends what nobody can use, on one connection after another. It may get any refusal; others must notice
nothing.

Connections on which it stalls stay open until it stops: a server has to live with them meanwhile.
"""

from __future__ import annotations

import itertools
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Literal, Self

TARGETS = (
    "PUT /api/cart/items/P00001",
    "POST /api/orders",
    "POST /api/sessions",
    "PUT /api/products/P00001/price",
    "PUT /api/inventory/P00001",
    "GET /api/products/P00001/recommendations",
    "POST /sign-in",
    "GET /",
)
"""A route of each service that the gateway reaches, and two pages."""
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
HOP_BY_HOP = b"Connection: close, Authorization, Host, Content-Length, X-Client-Address, Idempotency-Key\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"

MISTAKES: Mapping[str, bytes] = {
    "too large": b"Content-Length: 1200000\r\n\r\n" + b"x" * 1_200_000,
    "ends early": b"Content-Length: 50\r\n\r\n{",
    "broken chunk": CHUNKED + b"ZZ\r\n",
    "chunks that end early": CHUNKED + b"5\r\n{",
    "a length that is no number": b"Content-Length: 1e6\r\n\r\n",
    "two lengths": b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "endless chunks": CHUNKED + b"4\r\nxxxx\r\n" * 100_000,
    "chunks and a length": b"Content-Length: 5\r\n" + CHUNKED + b"0\r\n\r\n",
    "another encoding": b"Transfer-Encoding: gzip\r\n\r\n",
    "hop-by-hop headers": HOP_BY_HOP + b"Content-Length: 2\r\n\r\n{}",
    "trusted headers": b"X-Client-Address: 203.0.113.9\r\nX_Customer_Id: C1\r\nAuthorization: Service x\r\n\r\n",
    "an upgrade": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n\r\n",
    "an old upgrade": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
    "an expectation": b"Expect: 100-continue\r\nContent-Length: 50\r\n\r\n",
    "many headers": b"".join(b"X-%d: a\r\n" % number for number in range(2000)) + b"\r\n",
    "a long header": b"X-A: " + b"a" * 100_000 + b"\r\n\r\n",
    "NUL in a header": b"X-A: \0\r\n\r\n",
    "a broken header": b"no colon\r\n\r\n",
    "a repeated POST": b"Idempotency-Key: 12345678\r\nContent-Length: 2\r\n\r\n{}",
    "NUL in a form": FORM + b"Content-Length: 20\r\n\r\nemail=%00&password=\0",
}
"""What follows the first lines of a request; first what closed a replica for others once."""
WHOLE: Mapping[str, bytes] = {
    "no HTTP": b"\0\x16\x03\x01nonsense\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "another version": b"GET / HTTP/9.9\r\nHost: shop\r\n\r\n",
    "no host": b"GET /api/cart HTTP/1.1\r\n\r\n",
    "an empty host": b"GET /api/cart HTTP/1.1\r\nHost:\r\n\r\n",
    "two hosts": b"GET /api/cart HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "an evil host": b"GET /api//products HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "a broken escape": b"GET /api/products/%zz HTTP/1.1\r\nHost: shop\r\n\r\n",
    "NUL in a path": b"GET /api/products/%00 HTTP/1.1\r\nHost: shop\r\n\r\n",
    "a long target": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: shop\r\n\r\n",
    "an internal path": b"GET /internal/events?after=0 HTTP/1.1\r\nHost: shop\r\n\r\n",
    "a tunnel": b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}
STALLED: Mapping[str, bytes] = {
    "nothing": b"",
    "half a head": b"GET / HTTP/1.1\r\nHost: shop\r\nX-",
    "a stalled body": b"POST /api/sessions HTTP/1.1\r\nHost: shop\r\nContent-Length: 50\r\n\r\n{",
    "stalled chunks": b"POST /api/sessions HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
}
End = Literal["goes away", "says that it is done", "waits"]
ENDS: tuple[End, ...] = ("goes away", "says that it is done", "waits")
"""What the client does after a mistake. The gateway gives up a request whose client says that it sends nothing more, so
only one that waits is answered by a service."""
MAX_STALLED = 200
ANSWER_SECONDS = 0.2
PAUSE_SECONDS = 0.01
"""Between two connections, so that it costs the machine little: this is about mistakes, not about load."""


def requests() -> Iterator[tuple[str, bytes]]:
    """Every mistake once, those with a body at each target: a name and the bytes."""
    for (name, rest), target in itertools.product(MISTAKES.items(), TARGETS):
        yield f"{name}, {target}", f"{target} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n".encode() + rest
    yield from WHOLE.items()


class BadClient:
    """Sends all mistakes, and begins again, in a thread of its own until its context is left."""

    def __init__(self, port: int) -> None:
        self.sent: Counter[str] = Counter()
        """How often each mistake was made."""
        self._port = port
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._make_mistakes, name="bad client")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _make_mistakes(self) -> None:
        with ExitStack() as stalled:
            left = MAX_STALLED
            for number, (name, sent) in enumerate(itertools.cycle(requests())):
                for end in ENDS:  # in a row, because only repeated failures close a replica
                    if self._end.wait(PAUSE_SECONDS):
                        return
                    self._make(name, sent, end)
                if left and number % 4 == 0:
                    left -= 1
                    self._stall(stalled, list(STALLED.items())[left % len(STALLED)])

    def _make(self, name: str, sent: bytes, end: End) -> None:
        """One mistake, and how the client goes on after it."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), ANSWER_SECONDS) as client:
            client.sendall(sent)
            self.sent[name] += 1
            if end == "goes away":
                return
            if end == "says that it is done":
                client.shutdown(socket.SHUT_WR)
            while client.recv(65_536):
                pass

    def _stall(self, stalled: ExitStack, mistake: tuple[str, bytes]) -> None:
        name, sent = mistake
        with suppress(OSError):
            client = stalled.enter_context(
                socket.create_connection(("127.0.0.1", self._port), ANSWER_SECONDS)
            )
            client.sendall(sent)
            self.sent[name] += 1
