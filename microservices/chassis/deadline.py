"""A deadline for `requests`: mount a DeadlineAdapter on a Session, and a timeout holds for the whole answer.

Without it the timeout starts anew with every few bytes that arrive, in the head of a response as well as in its body.
So a server that sends a byte now and then could keep its caller waiting without limit.

The adapter speaks HTTP/1.1 itself instead of through urllib3. Between services a connection is plain, to one address,
without proxies, redirects, cookies or encodings. What urllib3 and http.client do for these took more than half of the
caller's CPU; docs/decisions/0045 has the numbers.
"""

from __future__ import annotations

import io
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

CONNECT_SECONDS = 0.5
MAX_BYTES = 8 << 20
"""Limit of a body: far more than services send each other."""
MAX_HEAD_BYTES = 64 << 10
RECEIVE_BYTES = 64 << 10
WITHOUT_BODY = frozenset({204, 304})

_kept_open: ContextVar[ExitStack | None] = ContextVar("chassis_kept_open", default=None)


class DeadlineAdapter(BaseAdapter):
    """Gives a request `timeout` seconds for all of it: connecting (at most CONNECT_SECONDS), head and body.

        session = requests.Session()
        session.mount("http://", DeadlineAdapter())
        session.get(url, timeout=2.0)

    With `timeout=(connect, answer)` the second number is for the answer alone. Up to `pool_maxsize` connections stay
    open for the next requests. Raises requests.ReadTimeout when the response is not complete in time, and another
    requests.RequestException when the connection fails. It is for http:// only, and returns no cookies.
    """

    def __init__(self, pool_maxsize: int = 10) -> None:
        super().__init__()
        self._size = pool_maxsize
        self._idle: dict[str, deque[Connection]] = {}

    def send(  # type: ignore[override]  # TLS and proxies do not concern it
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002 - the body is read before this returns
        timeout: float | tuple[float, float] | None = None,
        **_: Any,
    ) -> requests.Response:
        """As in every adapter, but the body is read before this returns."""
        connect, seconds = timeout if isinstance(timeout, tuple) else (CONNECT_SECONDS, timeout)
        deadline = None if seconds is None else time.monotonic() + seconds
        if deadline is not None and _left(deadline) <= 0:
            raise requests.ReadTimeout("The time was up before the request was sent.", request=request)
        host = urlsplit(request.url or "").netloc
        try:
            connection = self._connection(
                host, connect if deadline is None else min(connect, _left(deadline))
            )
        except TimeoutError as error:
            raise requests.ConnectTimeout(error, request=request) from error
        except (OSError, ValueError) as error:
            raise requests.ConnectionError(error, request=request) from error
        if isinstance(timeout, tuple):
            deadline = time.monotonic() + timeout[1]
        return self._response(request, self._exchange(connection, host, request, deadline))

    def close(self) -> None:
        """Close the connections that no request uses."""
        for idle in self._idle.values():
            while idle:
                idle.pop().close()

    def _connection(self, host: str, seconds: float) -> Connection:
        idle = self._idle.get(host)
        while idle:
            with suppress(IndexError):  # another thread was faster
                connection = idle.pop()
                if connection.is_usable():
                    return connection
                connection.close()
        return Connection(host, seconds)

    def _exchange(
        self, connection: Connection, host: str, request: requests.PreparedRequest, deadline: float | None
    ) -> Answer:
        try:
            connection.send(request, host, deadline)
            answer = connection.receive(request.method == "HEAD", deadline)
        except TimeoutError as error:
            kept = _kept_open.get()
            if kept is None:
                connection.close()
            else:
                kept.callback(connection.close)
            raise requests.ReadTimeout("The answer was not complete in time.", request=request) from error
        except (OSError, ValueError) as error:
            connection.close()
            raise requests.ConnectionError(error, request=request) from error
        idle = self._idle.setdefault(host, deque())
        if answer.can_be_followed and len(idle) < self._size:
            idle.append(connection)
        else:
            connection.close()
        return answer

    def _response(self, request: requests.PreparedRequest, answer: Answer) -> requests.Response:
        response = requests.Response()
        response.status_code, response.reason = answer.status, answer.reason
        response.headers = CaseInsensitiveDict(answer.headers)
        response.encoding = get_encoding_from_headers(response.headers)
        response.url, response.request = request.url or "", request
        response.raw = io.BytesIO(answer.body)
        return response


@contextmanager
def timed_out_connections_kept_open() -> Iterator[None]:
    """While the block runs, a connection that timed out stays open; without the block, it is closed at once.

    The gateway then still counts the first request, and sends the next attempt to another replica.
    """
    with ExitStack() as kept:
        before = _kept_open.set(kept)
        try:
            yield
        finally:
            _kept_open.reset(before)


@dataclass(slots=True)
class Answer:
    """What came back, with the names of headers in lower case. `can_be_followed`: the connection can be used again."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes
    can_be_followed: bool


class Connection:
    """One HTTP/1.1 connection. OSError or ValueError say that it failed, TimeoutError that the deadline came.

    Deadlines are on the clock of time.monotonic().
    """

    def __init__(self, host: str, seconds: float) -> None:
        parts = urlsplit(f"//{host}")
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 80), seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def is_usable(self) -> bool:
        """Whether the other side kept it open, and sent nothing that nobody asked for."""
        self._socket.settimeout(0)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def send(self, request: requests.PreparedRequest, host: str, deadline: float | None) -> None:
        """Send head and body."""
        headers = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
        head = f"{request.method} {request.path_url} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode(
            "latin-1"
        )
        body = request.body or b""
        self._wait_until(deadline)
        self._socket.sendall(head + (body.encode() if isinstance(body, str) else body))

    def receive(self, is_head: bool, deadline: float | None) -> Answer:
        """The answer to the request that was sent, which was a HEAD or not."""
        version, status, reason, headers = self._head(deadline)
        while 100 <= status < 200:
            version, status, reason, headers = self._head(deadline)
        can_be_followed = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        if is_head or status in WITHOUT_BODY:
            body = b""
        elif "transfer-encoding" in headers:
            body = self._chunks(deadline)
        elif "content-length" in headers:
            body = self._take(_size(headers["content-length"], 10), deadline)
        else:
            body, can_be_followed = self._rest(deadline), False
        return Answer(status, reason, headers, body, can_be_followed and not self._received)

    def _head(self, deadline: float | None) -> tuple[str, int, str, dict[str, str]]:
        """Version, status, reason and headers. Two lengths that differ make one that is no number."""
        first, *lines = self._take_until(b"\r\n\r\n", deadline).decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        status, _, reason = rest.partition(" ")
        if not version.startswith("HTTP/1.") or len(status) != 3:
            raise ValueError(f"This is no answer of HTTP/1: {first[:80]}")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return version, _size(status, 10), reason, headers

    def _chunks(self, deadline: float | None) -> bytes:
        body = b""
        while size := _size(self._take_until(b"\r\n", deadline).partition(b";")[0].decode("latin-1"), 16):
            body += self._take(size, deadline)
            if len(body) > MAX_BYTES or self._take_until(b"\r\n", deadline):
                raise ValueError("The body is too large, or its chunks do not fit.")
        while self._take_until(b"\r\n", deadline):
            pass  # trailers
        return body

    def _take_until(self, end: bytes, deadline: float | None) -> bytes:
        """Receive up to `end`, and take it without the `end`."""
        while (at := self._received.find(end)) < 0:
            if len(self._received) > MAX_HEAD_BYTES:
                raise ValueError("The head of the answer is too large.")
            if not self._receive(deadline):
                raise ConnectionError("The connection was closed before the answer was complete.")
        taken, self._received = self._received[:at], self._received[at + len(end) :]
        return taken

    def _take(self, size: int, deadline: float | None) -> bytes:
        """Receive so many bytes, and take them."""
        if size > MAX_BYTES:
            raise ValueError("The body is too large.")
        parts, missing = [self._received], size - len(self._received)
        while missing > 0:
            self._received = b""
            if not self._receive(deadline):
                raise ConnectionError("The connection was closed before the answer was complete.")
            parts.append(self._received)
            missing -= len(self._received)
        whole = b"".join(parts)
        taken, self._received = whole[:size], whole[size:]
        return taken

    def _rest(self, deadline: float | None) -> bytes:
        """Receive until the other side closes the connection, and take all."""
        while self._receive(deadline):
            if len(self._received) > MAX_BYTES:
                raise ValueError("The body is too large.")
        taken, self._received = self._received, b""
        return taken

    def _receive(self, deadline: float | None) -> bool:
        """Receive what is there; False when the other side has closed the connection."""
        self._wait_until(deadline)
        received = self._socket.recv(RECEIVE_BYTES)
        self._received += received
        return bool(received)

    def _wait_until(self, deadline: float | None) -> None:
        left = None if deadline is None else _left(deadline)
        if left is not None and left <= 0:
            raise TimeoutError("the deadline has passed")
        self._socket.settimeout(left)


def _left(deadline: float) -> float:
    """Seconds until the deadline."""
    return deadline - time.monotonic()


def _size(text: str, base: int) -> int:
    """A number that is written with digits only; ValueError for any other text."""
    if not text.isalnum() or not text.isascii():
        raise ValueError(f"This is no size: {text[:20]}")
    return int(text, base)
