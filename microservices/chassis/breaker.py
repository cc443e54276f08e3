"""Protects a failing service from overload: a circuit breaker and a retry budget.

The breaker opens after too many failures. While it is open, no call is sent; then a single call is the probe. A call
that began before the breaker opened may end later. Its outcome is out of date and is ignored: `admit` returns a
ticket, the outcome is reported with it, and an old ticket does not count.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

PROBE_LEASE = 10.0
"""Seconds after which the next probe may start although the last one has not reported."""


class RetryBudget:
    """Allows retries for a tenth of the calls: when everything fails, retries must not double the load."""

    def __init__(self, share: float = 0.1, most: float = 10.0) -> None:
        self._share, self._most, self._saved = share, most, 1.0
        self._lock = threading.Lock()

    def earn(self) -> None:
        """Count a call: it adds `share` of a retry to the budget."""
        with self._lock:
            self._saved = min(self._most, self._saved + self._share)

    def spend(self) -> bool:
        """Whether the budget allows one more attempt; if so, take it from the budget."""
        with self._lock:
            if self._saved < 1.0:
                return False
            self._saved -= 1.0
            return True


class Breaker:
    """Closed, then open for `rest` seconds, then half open for a single probe; thread-safe.

    It opens after `in_a_row` failures without a success between them, or when at least half of the last
    `window` calls failed.
    """

    def __init__(
        self,
        name: str,
        in_a_row: int = 5,
        window: int = 20,
        rest: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._in_a_row, self._rest, self._clock = name, in_a_row, rest, clock
        self._recent: deque[bool] = deque(maxlen=window)
        self._failures_in_a_row = 0
        self._closed = True
        self._next_probe = 0.0
        self._ticket = 0
        self._lock = threading.Lock()

    @property
    def state(self) -> str:
        """`closed`, `open`, or `half-open` when the next call would be the probe."""
        if self._closed:
            return "closed"
        return "half-open" if self._clock() >= self._next_probe else "open"

    def admit(self) -> int | None:
        """A ticket to make the call and report with, or None: do not call."""
        with self._lock:
            if not self._closed:
                if self._clock() < self._next_probe:
                    return None
                self._next_probe = self._clock() + PROBE_LEASE
                self._ticket += 1
            return self._ticket

    def succeeded(self, ticket: int) -> None:
        """The upstream answered as agreed; a refusal by its own rules counts as success."""
        with self._lock:
            if ticket != self._ticket:
                return
            if not self._closed:
                log.warning("breaker for %s closed: it answers again", self._name)
                self._closed = True
                self._recent.clear()
            self._failures_in_a_row = 0
            self._recent.append(True)

    def failed(self, ticket: int) -> None:
        """The upstream did not answer, or too late, or with an unusable response."""
        with self._lock:
            if ticket != self._ticket:
                return
            self._failures_in_a_row += 1
            self._recent.append(False)
            if self._closed and self._too_many():
                log.warning("breaker for %s opened after %d failures", self._name, self._recent.count(False))
                self._open(self._rest)
            elif not self._closed:
                self._open(self._rest)

    def undecided(self, ticket: int) -> None:
        """The call says nothing about the upstream; if it was the probe, the next call becomes the probe."""
        with self._lock:
            if ticket == self._ticket and not self._closed:
                self._open(0.0)

    def _too_many(self) -> bool:
        if self._failures_in_a_row >= self._in_a_row:
            return True
        calls = len(self._recent)
        return calls == self._recent.maxlen and self._recent.count(False) * 2 >= calls

    def _open(self, rest: float) -> None:
        self._closed = False
        self._next_probe = self._clock() + rest
        self._ticket += 1
