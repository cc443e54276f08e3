"""When does somebody notice that something is wrong, and when is everything well again?

Noticed is what the shop or a customer has a sign of: a word of the launcher, a warning in a log, a request that fails
or is slow. Well again means that one customer gets everything at the first try: pages with suggestions, a sign-in and
a purchase; and that the launcher has all its processes.
"""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from microservices.chaos.arena import Arena
from microservices.chaos.client import PASSWORD, History
from microservices.chaos.load import GOOD_CARD, PLENTY, Buyer
from microservices.launcher.logs import LogTail
from microservices.launcher.replica import Phase

SLOW_SECONDS = 1.5
"""Nothing that customers of the load do takes so long in a shop that is well, except to wait for a silent card."""
LOOK_SECONDS = 0.1
HEALING = "taking up order"
"""A warning that is about an earlier fault: a checkout is taken up when its lease has run out, seconds later."""
DEGRADED = b"takes too long to work out just now"


@dataclass(frozen=True, slots=True)
class Sign:
    """That something is wrong: when it was seen (time.monotonic()), and by whom."""

    at: float
    by: str
    text: str


class Signs:
    """Collects signs while its context is entered."""

    def __init__(self, arena: Arena, history: History) -> None:
        self._arena, self._history = arena, history
        self._tail = LogTail(arena.fleet.folder.logs)
        self._heard: list[Sign] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="signs")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def first_since(self, moment: float) -> Sign | None:
        """The earliest sign after a moment."""
        signs = [Sign(at, "the launcher", text) for at, text in self._arena.said if " died (" in text]
        signs = [sign for sign in (*signs, *self._heard) if sign.at >= moment]
        for attempt in self._history.since(moment):
            if attempt.failed:
                signs.append(Sign(attempt.ended, "a customer", f"{attempt.what}: {attempt.status}"))
            elif attempt.seconds > SLOW_SECONDS:
                late = max(moment, attempt.began + SLOW_SECONDS)
                signs.append(Sign(late, "a customer", f"{attempt.what} is slow"))
        return min(signs, key=lambda sign: sign.at, default=None)

    def _listen(self) -> None:
        while not self._end.wait(LOOK_SECONDS):
            for label, line in self._tail.lines():
                alarming = '"level": "warning"' in line or '"level": "error"' in line
                if alarming and HEALING not in line:
                    self._heard.append(Sign(time.monotonic(), label, line))


class Prober:
    """One more customer, who tries everything once and is content only when all of it works."""

    def __init__(self, arena: Arena, history: History) -> None:
        self._arena = arena
        self._buyer = Buyer(arena.port, history, random.Random(0))  # noqa: S311
        self._keys = 0

    @property
    def buyer(self) -> Buyer:
        """Whose checkouts the probes are."""
        return self._buyer

    def is_well(self) -> bool:
        """Whether everything works at this moment, at the first try."""
        if any(member.phase is not Phase.READY for member in self._arena.fleet.members()):
            return False
        return self._sees_pages() and self._signs_in() and self._buys()

    def well_after(self, moment: float, limit: float) -> float | None:
        """Wait until all is well; seconds since `moment`, None when it is not after `limit` seconds from now."""
        until = time.monotonic() + limit
        while not self.is_well():
            if time.monotonic() > until:
                return None
            time.sleep(LOOK_SECONDS)
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
        reply = self._buyer.check_out(f"probe-{self._keys:08}", GOOD_CARD, patience=0.0)
        return reply is not None and reply.status == 201
