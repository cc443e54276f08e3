"""One HTTP exchange over a pooled connection, within a deadline: bytes out, bytes in.

`requests` does the pooling. Its timeout starts anew with every few bytes that trickle in, in the head of an answer as
well as in its body, so the sockets here know the deadline themselves.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any, NamedTuple, Protocol

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.response import HTTPResponse

CONNECT_SECONDS = 0.5
MAX_BYTES = 8 << 20


class ConnectionLost(Exception):
    """The connection could not be made, or it broke before the answer was there."""


class DeadlineExceeded(Exception):
    """The answer was not there when the deadline came."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    content_type: str
    body: bytes


class SupportsSend(Protocol):
    """What a client needs of a transport; a test passes one that answers by itself."""

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline: float
    ) -> Answer:
        """Send a request and read the answer before `deadline`; raises ConnectionLost or DeadlineExceeded."""
        ...


class _Late(threading.local):
    """Connections of this thread on which an answer is overdue; see `close_timed_out_sockets`."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []


_late = _Late()


def close_timed_out_sockets() -> None:
    """Close the connections on which an answer of this thread's last call came too late.

    They are kept open until the call ends, so that the gateway still counts the request there and sends the retry to
    another replica.
    """
    while _late.sockets:
        _late.sockets.pop().close()


class DeadlineSocket(socket.socket):
    """Waits for whatever comes in until one moment, however many pieces it comes in."""

    deadline = 0.0
    """On the clock of time.monotonic()."""

    def recv_into(self, *arguments: Any) -> int:
        """As every socket does; raises TimeoutError at the deadline."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        self.settimeout(left)
        return super().recv_into(*arguments)


class DeadlineConnection(HTTPConnection):
    """A connection whose timeout is for the whole answer."""

    def _new_conn(self) -> DeadlineSocket:
        made = super()._new_conn()
        timeout = made.gettimeout()
        sock = DeadlineSocket(fileno=made.detach())
        sock.settimeout(timeout)
        return sock

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3
        """The head of the answer; its body is read later, by the same deadline."""
        assert isinstance(self.sock, DeadlineSocket)
        assert isinstance(self.timeout, (int, float))
        self.sock.deadline = time.monotonic() + self.timeout
        try:
            return super().getresponse()
        except TimeoutError:
            _late.sockets.append(self.sock)
            self.sock = None  # urllib3 closes what it finds here
            raise


class DeadlinePool(HTTPConnectionPool):
    """A pool of such connections."""

    ConnectionCls = DeadlineConnection


class Transport:
    """Pooled connections to one address."""

    def __init__(self, url: str, pool_size: int) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=pool_size)
        adapter.poolmanager.pool_classes_by_scheme = {"http": DeadlinePool}
        self._session.mount(self._url, adapter)
        # The adapter is what pools. Session.request() would look for cookies, redirects and proxies besides,
        # which made a call cost 0.61 ms of CPU on the laptop that this was measured on, instead of 0.41.
        self._adapter = self._session.get_adapter(self._url)

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline: float
    ) -> Answer:
        """As in SupportsSend; `deadline` is on the clock of time.monotonic()."""
        left = deadline - time.monotonic()
        request = requests.PreparedRequest()
        request.method, request.url, request.body = method, self._url + path, body
        request.headers = CaseInsensitiveDict(headers)
        if body is not None:
            request.headers["Content-Length"] = str(len(body))
        try:
            response = self._adapter.send(request, stream=True, timeout=(min(CONNECT_SECONDS, left), left))
            with closing(response):
                content = _read(response.raw)
            return Answer(response.status_code, response.headers.get("Content-Type", ""), content)
        except (requests.ReadTimeout, ReadTimeoutError) as error:
            raise DeadlineExceeded from error
        except (requests.RequestException, HTTPError) as error:
            raise ConnectionLost from error

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()


def _read(raw: Any) -> bytes:
    """The whole body, unless it is far too large for anything that services tell each other."""
    parts: list[bytes] = []
    size = 0
    while part := raw.read1(65_536):
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES:
            raise ConnectionLost
    return b"".join(parts)
