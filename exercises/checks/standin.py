"""A stand-in for the recommendations service: a check sets whether it answers, hangs or fails, and reads its requests.

    service = Recommendations()
    shop = bench.shop(env={"SHOP_RECOMMENDATIONS_URL": service.url})
    service.behave("hang")

It runs until the process ends, so that every check of a run uses the same address.
"""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Mapping
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal

from microservices.chaos.standin import HANG, HANG_SECONDS, LOSE, Answer, Asked, Drip, StandIn

Behaviour = Literal["answer", "hang", "drip", "lose", "refuse", "nonsense"]
PRODUCTS = "/api/products/"
DRIP_SECONDS = 5.0
"""How long an answer takes that comes byte by byte."""


@cache
def scratch() -> Path:
    """A folder for files of the checks; the same for this process, and removed at its end."""
    folder = Path(mkdtemp(prefix="exercises-check-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Recommendations:
    """A service with a behaviour: answer (no items), hang (and close the connection after `seconds`), drip (a right
    answer, byte by byte), lose (close the connection), refuse (a status, 503 by default), nonsense (an unknown
    product).
    """

    def __init__(self) -> None:
        self._stand_in = StandIn(self._respond)
        self.url = self._stand_in.url
        self.behave("answer")

    def behave(
        self,
        behaviour: Behaviour,
        *,
        every: int = 1,
        first: int | None = None,
        status: int = 503,
        seconds: float = HANG_SECONDS,
        says: Mapping[str, Any] | None = None,
    ) -> None:
        """Behave like this from now on. Hanging requests are released, and the list of requests is cleared.

        With `every=N` only each Nth request gets the behaviour, with `first=N` only the first N; the others are
        answered. `says` has the answers to some SKUs.
        """
        self._says = says or {}
        self._behaviour, self._every, self._first, self._status = behaviour, every, first, status
        self._number = count(1)
        self._stand_in.hang_seconds = seconds
        self._stand_in.forget()

    def asked(self) -> list[Asked]:
        """The requests since `behave`."""
        return [asked for asked in self._stand_in.asked if asked.path.startswith(PRODUCTS)]

    def _respond(self, asked: Asked) -> Answer:
        if not asked.path.startswith(PRODUCTS):
            return 404, {"status": 404}
        number = next(self._number)
        chosen = number % self._every == 0 and (self._first is None or number <= self._first)
        behaviour = self._behaviour if chosen else "answer"
        if behaviour == "hang":
            return HANG
        if behaviour == "lose":
            return LOSE
        if behaviour == "refuse":
            problem = {"type": "/problems/unavailable", "title": "Not now", "status": self._status}
            return self._status, problem
        sku = asked.route.split("/")[3]
        items = [{"sku": "NONSENSE", "score": 0.5}] if behaviour == "nonsense" else []
        body = self._says.get(sku, {"sku": sku, "items": items})
        return Drip((200, body), DRIP_SECONDS / len(str(body))) if behaviour == "drip" else (200, body)
