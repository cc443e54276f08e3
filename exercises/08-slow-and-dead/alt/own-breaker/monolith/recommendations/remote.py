"""The recommender in another process, with a breaker of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import requests

from microservices.chassis.deadline import DeadlineAdapter

from .interface import RecommendationsUnavailable

TIMEOUT_SECONDS = 0.2
FAILURES, REST_SECONDS = 5, 1.0
GONE = frozenset({502, 503, 504})


class RemoteRecommender:
    """Asks the recommendations service at `url`; `token` returns the token of the signed-in customer, or None."""

    def __init__(self, url: str, token: Callable[[], str | None]) -> None:
        self._url, self._token = url.rstrip("/"), token
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", DeadlineAdapter())
        self._lock = threading.Lock()
        self._failures = 0
        self._ask_again_at = 0.0
        self._saved = 1.0

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:
        """What goes well with `sku`; raises RecommendationsUnavailable when there is no proper answer."""
        if not self._may_ask():
            raise RecommendationsUnavailable("There are no recommendations just now.")
        token = self._token() if customer_id else None
        asked = {"cart": ",".join(cart), "limit": str(limit)}
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            found = self._ask(f"{self._url}/api/products/{sku}/recommendations", asked, headers)
        except (requests.RequestException, LookupError, TypeError, ValueError) as error:
            self._failed()
            raise RecommendationsUnavailable("There are no recommendations just now.") from error
        with self._lock:
            self._failures = 0
        return found

    def _ask(self, url: str, asked: dict[str, str], headers: dict[str, str]) -> dict[str, Any]:
        try:
            return self._once(url, asked, headers)
        except requests.ConnectionError:  # lost, not slow: one more try, if the budget allows it
            with self._lock:
                if self._saved < 1.0:
                    raise
                self._saved -= 1.0
            return self._once(url, asked, headers)

    def _once(self, url: str, asked: dict[str, str], headers: dict[str, str]) -> dict[str, Any]:
        answer = self._session.get(
            url, params=asked, headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False
        )
        if answer.status_code in GONE:
            raise requests.ConnectionError
        if answer.status_code != 200:
            raise ValueError(f"status {answer.status_code}")
        found = answer.json()
        items = [{"sku": str(item["sku"]), "score": float(item["score"])} for item in found["items"]]
        return {"sku": str(found["sku"]), "items": items}

    def _may_ask(self) -> bool:
        """Whether to call: always while the service works; after failures in a row, once every REST_SECONDS."""
        with self._lock:
            self._saved = min(10.0, self._saved + 0.1)
            if self._failures < FAILURES:
                return True
            if time.monotonic() < self._ask_again_at:
                return False
            self._ask_again_at = time.monotonic() + REST_SECONDS
            return True

    def _failed(self) -> None:
        with self._lock:
            self._failures += 1
            self._ask_again_at = time.monotonic() + REST_SECONDS
