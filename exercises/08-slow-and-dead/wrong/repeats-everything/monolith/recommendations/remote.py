"""The recommender in another process, asked over HTTP with a deadline and repeats."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from microservices.chassis.transport import ConnectionLost, DeadlineExceeded, Transport

from .interface import RecommendationsUnavailable

PATIENCE_SECONDS = 0.25
"""For one question with all its attempts. A page has half a second."""
ATTEMPTS = 3
PAUSE_SECONDS = 0.02
CONNECTIONS = 8
GONE = frozenset({502, 503, 504})
"""The gateway's answers when no replica answered it."""


class RemoteRecommender:
    """Asks the recommendations service at `url`; `token` returns the token of the signed-in customer, or None."""

    def __init__(self, url: str, token: Callable[[], str | None]) -> None:
        self._token = token
        self._transport = Transport(url, CONNECTIONS)

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:
        """What goes well with `sku`; raises RecommendationsUnavailable when there is no proper answer."""
        token = self._token() if customer_id else None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        question = urlencode({"cart": ",".join(cart), "limit": limit})
        deadline = time.monotonic() + PATIENCE_SECONDS
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._ask(f"/api/products/{sku}/recommendations?{question}", headers, deadline)
            except ConnectionLost as error:
                if attempt == ATTEMPTS:
                    raise _unavailable() from error
            except (DeadlineExceeded, LookupError, TypeError, ValueError) as error:
                raise _unavailable() from error
            time.sleep(random.uniform(0, PAUSE_SECONDS))
        raise _unavailable()

    def _ask(self, path: str, headers: dict[str, str], deadline: float) -> dict[str, Any]:
        """One attempt."""
        answer = self._transport.send("GET", path, headers, None, deadline)
        if answer.status in GONE:
            raise ConnectionLost
        return _understood(answer.status, answer.body)


def _unavailable() -> RecommendationsUnavailable:
    return RecommendationsUnavailable("There are no recommendations just now.")


def _understood(status: int, body: bytes) -> dict[str, Any]:
    """The fields that the interface promises, and no others."""
    if status != 200:
        raise ValueError(f"the service answered {status}")
    document = json.loads(body)
    items = [{"sku": str(item["sku"]), "score": float(item["score"])} for item in document["items"]]
    return {"sku": str(document["sku"]), "items": items}
