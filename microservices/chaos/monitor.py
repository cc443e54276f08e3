"""Measures the time to detect a fault and the time to recover from it.

A fault is detected by a message of the launcher, a warning in a log, or a customer's request that fails or is slow. The
shop has recovered when one customer gets everything without a retry (pages with recommendations, a sign-in and a
purchase) and all processes are ready.
"""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from microservices.chaos.client import PASSWORD, History
from microservices.chaos.load import GOOD_CARD, PLENTY, Buyer
from microservices.chaos.shop_under_test import ShopUnderTest
from microservices.launcher.logs import LogTail
from microservices.launcher.replica import Phase

SLOW_SECONDS = 1.5
"""In a healthy shop no request of the load takes this long, except a checkout with a silent card."""
POLL_SECONDS = 0.1
RECOVERY_WARNING = "taking up order"
"""A warning that belongs to an earlier fault: a checkout is taken over when its lease ends, seconds later."""
DEGRADED = b"takes too long to work out just now"


@dataclass(frozen=True, slots=True)
class Detection:
    """A sign of a fault."""

    at: float
    """As time.monotonic()."""
    by: str
    """Who detected it: the launcher, a process that logs, or a customer."""
    text: str


class Detector:
    """Collects detections while its context is entered."""

    def __init__(self, shop: ShopUnderTest, history: History) -> None:
        self._shop, self._history = shop, history
        self._tail = LogTail(shop.fleet.folder.logs)
        self._from_logs: list[Detection] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._read_logs, name="detector")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def first_since(self, moment: float) -> Detection | None:
        """The first detection at or after `moment` (time.monotonic())."""
        deaths = [
            Detection(at, "the launcher", text) for at, text in self._shop.messages if " died (" in text
        ]
        found = [detection for detection in (*deaths, *self._from_logs) if detection.at >= moment]
        for attempt in self._history.since(moment):
            if attempt.failed:
                found.append(Detection(attempt.ended, "a customer", f"{attempt.what}: {attempt.status}"))
            elif attempt.seconds > SLOW_SECONDS:
                late = max(moment, attempt.began + SLOW_SECONDS)
                found.append(Detection(late, "a customer", f"{attempt.what} is slow"))
        return min(found, key=lambda detection: detection.at, default=None)

    def _read_logs(self) -> None:
        while not self._end.wait(POLL_SECONDS):
            for label, line in self._tail.lines():
                is_alarm = '"level": "warning"' in line or '"level": "error"' in line
                if is_alarm and RECOVERY_WARNING not in line:
                    self._from_logs.append(Detection(time.monotonic(), label, line))


class Prober:
    """A customer who tries every kind of request once, to see whether the shop is healthy."""

    def __init__(self, shop: ShopUnderTest, history: History) -> None:
        self._shop = shop
        self._buyer = Buyer(shop.port, history, random.Random(0))  # noqa: S311
        self._keys = 0

    @property
    def buyer(self) -> Buyer:
        """The customer of its checkouts."""
        return self._buyer

    def is_healthy(self) -> bool:
        """Whether everything works now, without a retry."""
        if any(member.phase is not Phase.READY for member in self._shop.fleet.members()):
            return False
        return self._sees_pages() and self._signs_in() and self._buys()

    def wait_until_healthy(self, moment: float, timeout: float) -> float | None:
        """Wait until the shop is healthy; returns the seconds since `moment`, or None after `timeout` seconds."""
        until = time.monotonic() + timeout
        while not self.is_healthy():
            if time.monotonic() > until:
                return None
            time.sleep(POLL_SECONDS)
        return time.monotonic() - moment

    def _sees_pages(self) -> bool:
        pages = [self._buyer.send("GET", path) for path in ("/", f"/products/{PLENTY[0]}", "/search?q=a")]
        listed = self._buyer.send("GET", f"/api/products/{PLENTY[0]}/recommendations")
        answers = [*pages, listed]
        return all(
            reply is not None and reply.status == 200 and DEGRADED not in reply.body for reply in answers
        )

    def _signs_in(self) -> bool:
        form = {"email": self._buyer.email, "password": PASSWORD}
        reply = self._buyer.send("POST", "/api/sessions", form)
        return reply is not None and reply.status < 300 and "token" in json.loads(reply.body)

    def _buys(self) -> bool:
        put = self._buyer.send("PUT", f"/api/cart/items/{PLENTY[0]}", {"quantity": 1})
        if put is None or put.status != 200:
            return False
        self._keys += 1
        reply = self._buyer.check_out(f"probe-{self._keys:08}", GOOD_CARD, timeout=0.0)
        return reply is not None and reply.status == 201
