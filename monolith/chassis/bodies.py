"""Reads the body of a request before the request takes one of the shop's threads.

Granian gives a request to a thread as soon as its head is there, and waits for the body without a limit. Clients that
stop in the middle of a body would soon hold all threads of the shop. So Granian has a thread for each connection, and
only as many of them as the shop has threads are in the application at a time: those whose request is complete.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, Any

from .errors import CUT_OFF
from .validation import MAX_BODY_BYTES

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

KEPT_BYTES = MAX_BODY_BYTES + 1  # one more than the shop accepts, so that it sees that a body is too large
READ_BYTES = 1 << 20
"""What is read of a larger body and thrown away. Granian closes a connection with an unread body, and a client that
still sends would not see the response."""


class Turns:
    """At most `count` threads are inside at a time, first come, first served.

    At a Semaphore, a thread that comes back at once overtakes those that wait.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[Lock] = deque()
        self._lock = Lock()

    def __enter__(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


class BodiesFirst:
    """Middleware: reads the body, then calls the application in turn, for `threads` requests at a time."""

    def __init__(self, inner: WSGIApplication, threads: int) -> None:
        self._inner = inner
        self._turns = Turns(threads)
        self._read_since: dict[int, float] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input"] = BytesIO()  # chunks, which the shop refuses: it must not wait for them
        elif environ.get("CONTENT_LENGTH", "0") != "0":
            self._read(environ)
        with self._turns:
            return self._inner(environ, start_response)

    def longest_read(self) -> float:
        """For how many seconds the oldest unfinished body has been read; 0 when there is none."""
        since = list(self._read_since.values())
        return time.monotonic() - min(since) if since else 0.0

    def _read(self, environ: WSGIEnvironment) -> None:
        self._read_since[id(environ)] = time.monotonic()
        try:
            kept, received = _read_body(environ["wsgi.input"])
        finally:
            del self._read_since[id(environ)]
        # A form that was cut off must not have an effect.
        is_cut_off = received < min(int(environ["CONTENT_LENGTH"]), READ_BYTES)
        environ["wsgi.input"] = BytesIO(b"" if is_cut_off else kept)
        environ[CUT_OFF] = is_cut_off


def _read_body(source: Any) -> tuple[bytes, int]:
    """The beginning of the body, and how many bytes came in all."""
    kept = source.read(KEPT_BYTES)
    received = len(kept)
    while KEPT_BYTES <= received < READ_BYTES and (part := source.read(KEPT_BYTES)):
        received += len(part)
    return kept, received
