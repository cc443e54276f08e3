"""A recommendations service made up for a check: it answers, hangs or fails as it is told, and remembers who asked.

    service = Recommendations()
    shop = bench.shop(env={"SHOP_RECOMMENDATIONS_URL": service.url})
    service.behave("hang")

It lives as long as the process, so that its address stays the same for every check of a run.
"""

from __future__ import annotations

import atexit
import shutil
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Literal

from microservices.chaos.standin import HANG, LOSE, Answer, Asked, StandIn

Behaviour = Literal["answer", "hang", "lose", "refuse", "nonsense"]
PRODUCTS = "/api/products/"


@cache
def scratch() -> Path:
    """A folder for what a check writes besides; it stays the same for this process and is gone after it."""
    folder = Path(mkdtemp(prefix="exercises-check-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Recommendations:
    """Behaviours: answer (no items), hang, lose (close the connection), refuse (503), nonsense (an unknown product)."""

    def __init__(self) -> None:
        self._stand_in = StandIn(self._respond)
        self.url = self._stand_in.url
        self.behave("answer")

    def behave(self, behaviour: Behaviour, *, every: int = 1) -> None:
        """Be like this from now on; whoever hangs is let go, and what was asked is forgotten.

        With `every`, only each so-manieth request gets the behaviour, and the others are answered.
        """
        self._behaviour, self._every, self._number = behaviour, every, count(1)
        self._stand_in.forget()

    def asked(self) -> list[Asked]:
        """The requests since `behave`."""
        return [asked for asked in self._stand_in.asked if asked.path.startswith(PRODUCTS)]

    def _respond(self, asked: Asked) -> Answer:
        if not asked.path.startswith(PRODUCTS):
            return 404, {"status": 404}
        behaviour = self._behaviour if next(self._number) % self._every == 0 else "answer"
        if behaviour == "hang":
            return HANG
        if behaviour == "lose":
            return LOSE
        if behaviour == "refuse":
            return 503, {"type": "/problems/unavailable", "title": "Not now", "status": 503}
        items = [{"sku": "NONSENSE", "score": 0.5}] if behaviour == "nonsense" else []
        return 200, {"sku": asked.route.split("/")[3], "items": items}
