"""The recommender in another process, asked over HTTP with a deadline and repeats."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import requests

from microservices.chassis.deadline import DeadlineAdapter

from .interface import RecommendationsUnavailable

PATIENCE_SECONDS = 0.25
"""For one question with all its attempts. A page has half a second."""
ATTEMPTS = 3
PAUSE_SECONDS = 0.02
GONE = frozenset({502, 503, 504})
"""The gateway's answers when no replica answered it."""


class RemoteRecommender:
    """Asks the recommendations service at `url`; `token` returns the token of the signed-in customer, or None."""

    def __init__(self, url: str, token: Callable[[], str | None]) -> None:
        self._url, self._token = url.rstrip("/"), token
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy between the shop's own processes
        self._session.mount(self._url, DeadlineAdapter())

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:
        """What goes well with `sku`; raises RecommendationsUnavailable when there is no proper answer."""
        token = self._token() if customer_id else None
        url = f"{self._url}/api/products/{sku}/recommendations"
        params = {"cart": ",".join(cart), "limit": str(limit)}
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        deadline = time.monotonic() + PATIENCE_SECONDS
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._ask(url, params, headers, deadline)
            except requests.ConnectionError as error:
                if attempt == ATTEMPTS:
                    raise _unavailable() from error
            except (requests.RequestException, LookupError, TypeError, ValueError) as error:
                raise _unavailable() from error
            time.sleep(random.uniform(0, PAUSE_SECONDS))
        raise _unavailable()

    def _ask(
        self, url: str, params: dict[str, str], headers: dict[str, str], deadline: float
    ) -> dict[str, Any]:
        """One attempt."""
        left = deadline - time.monotonic()
        answer = self._session.get(url, params=params, headers=headers, timeout=left)
        if answer.status_code in GONE:
            raise requests.ConnectionError
        answer.raise_for_status()
        return _understood(answer.json())


def _unavailable() -> RecommendationsUnavailable:
    return RecommendationsUnavailable("There are no recommendations just now.")


def _understood(document: Any) -> dict[str, Any]:
    """The fields that the interface promises, and no others."""
    items = [{"sku": str(item["sku"]), "score": float(item["score"])} for item in document["items"]]
    return {"sku": str(document["sku"]), "items": items}
