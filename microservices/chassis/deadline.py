"""A deadline for `requests`: mount a DeadlineAdapter on a Session, and a timeout holds for the whole answer.

Without it the timeout starts anew with every few bytes that arrive, in the head of a response as well as in its body.
So a server that sends a byte now and then could keep its caller waiting without limit.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, Timeout
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.response import HTTPResponse

CONNECT_SECONDS = 0.5
MAX_BYTES = 8 << 20
"""Limit of a body: far more than services send each other."""

_kept_open: ContextVar[ExitStack | None] = ContextVar("chassis_kept_open", default=None)


class DeadlineAdapter(HTTPAdapter):
    """Gives a request `timeout` seconds for all of it: connecting (at most CONNECT_SECONDS), head and body.

        session = requests.Session()
        session.mount("http://", DeadlineAdapter())
        session.get(url, timeout=2.0)

    Raises requests.ReadTimeout when the response is not complete in time, and another requests.RequestException when
    the connection fails. It is for http:// only: https:// would need a socket with a deadline over TLS.
    """

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """As in every adapter, but the connections have a deadline."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": DeadlinePool}

    def send(  # type: ignore[override]  # other options (TLS, proxies) are passed on
        self, request: requests.PreparedRequest, stream: bool = False, timeout: Any = None, **options: Any
    ) -> requests.Response:
        """As in every adapter, but the body is read before this returns."""
        if isinstance(timeout, int | float):
            if timeout <= 0:
                raise requests.ReadTimeout("The time was up before the request was sent.", request=request)
            timeout = Timeout(connect=CONNECT_SECONDS, total=timeout)
        response = super().send(request, stream, timeout, **options)
        try:
            body = response.raw.read(MAX_BYTES + 1, decode_content=True)
        except ReadTimeoutError as error:
            raise requests.ReadTimeout(error, request=request) from error
        except HTTPError as error:
            raise requests.ConnectionError(error, request=request) from error
        if len(body) > MAX_BYTES:
            response.close()
            raise requests.ConnectionError("The body is too large.", request=request)
        response.raw = io.BytesIO(body)
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


class DeadlineSocket(socket.socket):
    """A socket with one deadline for all its reads together."""

    deadline: float | None = None
    """On the clock of time.monotonic()."""

    def recv_into(self, *arguments: Any) -> int:
        """As every socket does; raises TimeoutError at the deadline."""
        if self.deadline is not None:
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
        seconds = self.timeout if isinstance(self.timeout, int | float) else None
        self.sock.deadline = None if seconds is None else time.monotonic() + seconds
        try:
            return super().getresponse()
        except TimeoutError:
            kept = _kept_open.get()
            if kept is not None:
                kept.callback(self.sock.close)
                self.sock = None  # urllib3 closes what it finds here
            raise


class DeadlinePool(HTTPConnectionPool):
    """A pool of such connections."""

    ConnectionCls = DeadlineConnection
