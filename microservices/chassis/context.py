"""What a request passes on to every service it calls: request id, trace context and deadline.

The deadline is sent as the milliseconds that are left, so the clocks of two machines need not agree.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass

DEADLINE_HEADER = "X-Deadline-Ms"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(slots=True)
class Context:
    """One request, or one turn of a background loop."""

    request_id: str
    deadline: float
    """On the clock of time.monotonic()."""
    traceparent: str | None = None
    """The caller's, unchanged; without one, made at the first call to another service."""

    @classmethod
    def begin(cls, environ: Mapping[str, str], timeout: float) -> Context:
        """The context of an arriving WSGI request; its caller may shorten the `timeout` (in seconds)."""
        asked = environ.get("HTTP_X_REQUEST_ID")
        left = environ.get("HTTP_X_DEADLINE_MS")
        if left is not None and left.isascii() and left.isdigit():
            timeout = min(timeout, int(left[:9]) / 1000)
        return cls(
            asked if asked is not None and _REQUEST_ID.fullmatch(asked) else os.urandom(16).hex(),
            time.monotonic() + timeout,
            environ.get("HTTP_TRACEPARENT"),
        )

    def left(self) -> float:
        """Seconds until the deadline; negative when it has passed."""
        return self.deadline - time.monotonic()

    def headers(self) -> dict[str, str]:
        """What a call to the next service carries: the same id and trace, and a span id of its own."""
        if self.traceparent is None or not _TRACEPARENT.fullmatch(self.traceparent):
            self.traceparent = f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"
        trace, flags = self.traceparent[:36], self.traceparent[-3:]
        return {"X-Request-Id": self.request_id, "traceparent": f"{trace}{os.urandom(8).hex()}{flags}"}


_current: ContextVar[Context | None] = ContextVar("chassis_context", default=None)


def current() -> Context | None:
    """The context of the request that this thread works on; None outside of one."""
    return _current.get()


def enter(context: Context) -> Token[Context | None]:
    """Make `context` the current one; undo with `leave`."""
    return _current.set(context)


def leave(token: Token[Context | None]) -> None:
    """Put back what was current before `enter`."""
    _current.reset(token)


@contextmanager
def work(timeout: float) -> Iterator[Context]:
    """A context for work that no request asked for, such as one turn of a background loop."""
    context = Context.begin({}, timeout)
    token = enter(context)
    try:
        yield context
    finally:
        leave(token)
