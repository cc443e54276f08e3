"""The room's door: who may come in, how often, and with how much.

The teacher's page is for this machine only and has a secret address, as the learner's page has. Learners may come
from other machines: they need the join code, and later the key that they got for it.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from exercises.page.guard import Guard, Wsgi

LEARNERS = "/room/"
MAX_NEWS_BYTES = 4096
LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_LENGTH = 8
WRONG_CODES, WRONG_SECONDS = 10, 60.0
"""So many wrong codes of all strangers together are answered in that time. A code has forty bits."""
CALLS, CALL_SECONDS = 600, 10.0
"""So many requests of one address are answered in that time. A whole class may share an address, and each learner tells
something at most once a second."""
MAX_ADDRESSES = 2000
LOOPBACK = {"127.0.0.1", "::1"}


def new_code() -> str:
    """A code that one can read aloud: no letters that look alike."""
    letters = "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))
    return f"{letters[:4]}-{letters[4:]}"


class Limit:
    """At most `most` events of one name in `seconds`."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._events: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def exceeded(self, name: str, *, count: bool = True) -> bool:
        """Whether there were too many already; otherwise this one counts too, if it is to."""
        now = self._clock()
        with self._lock:
            if len(self._events) > MAX_ADDRESSES:
                self._events = {
                    key: events for key, events in self._events.items() if events[-1] > now - self._seconds
                }
            events = self._events.setdefault(name, deque(maxlen=self._most))
            if len(events) == self._most and events[0] > now - self._seconds:
                return True
            if count:
                events.append(now)
            return False


class Code:
    """The join code, which nobody can guess by trying."""

    def __init__(self, code: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.code = code
        self._wrong = Limit(WRONG_CODES, WRONG_SECONDS, clock)

    def is_right(self, given: str) -> bool | None:
        """Whether it is this one; None when too many were wrong lately, whatever this one is."""
        if self._wrong.exceeded("", count=False):
            return None
        plain = "".join(each for each in given.upper() if each.isalnum())
        if hmac.compare_digest(plain.encode(), self.code.replace("-", "").encode()):
            return True
        self._wrong.exceeded("")
        return False


class Door:
    """Wraps the room's WSGI application: learners' requests and the teacher's page, each by its own rules."""

    def __init__(self, application: Wsgi, port: int, token: str) -> None:
        self._application = application
        self._teacher = Guard(application, port, token)
        self._calls = Limit(CALLS, CALL_SECONDS)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer the request, or refuse it with one sentence."""
        is_here = environ.get("REMOTE_ADDR") in LOOPBACK
        if environ["PATH_INFO"].startswith(LEARNERS):
            refusal = self._refusal(environ)
            return (
                _refuse(start_response, *refusal) if refusal else self._application(environ, start_response)
            )
        if not is_here:
            return _refuse(start_response, HTTPStatus.NOT_FOUND, "There is nothing here.")
        return self._teacher(environ, start_response)

    def _refusal(self, environ: dict[str, Any]) -> tuple[HTTPStatus, str] | None:
        if environ["REQUEST_METHOD"] != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED, "Only POST is answered here."
        # A browser sends Origin with every POST, and the learner's program never does: web pages stay outside.
        if "HTTP_ORIGIN" in environ or environ.get("CONTENT_TYPE") != "application/json":
            return HTTPStatus.FORBIDDEN, "Only the program exercises ui may ask here."
        length = environ.get("CONTENT_LENGTH") or ""
        if not length.isascii() or not length.isdigit():
            return HTTPStatus.LENGTH_REQUIRED, "A request needs a Content-Length here."
        if int(length) > MAX_NEWS_BYTES:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A request has at most {MAX_NEWS_BYTES} bytes here."
        if self._calls.exceeded(str(environ.get("REMOTE_ADDR"))):
            return HTTPStatus.TOO_MANY_REQUESTS, "Too many requests; wait ten seconds."
        return None


def _refuse(start_response: Callable[..., Any], status: HTTPStatus, sentence: str) -> Iterable[bytes]:
    start_response(f"{status.value} {status.phrase}", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{sentence}\n".encode()]
