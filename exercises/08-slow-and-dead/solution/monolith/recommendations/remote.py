"""The recommender in another process, asked over HTTP with a deadline, repeats and a breaker."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import requests

from microservices.chassis.breaker import Breaker, RetryBudget
from microservices.chassis.deadline import DeadlineAdapter

from .interface import RecommendationsUnavailable

TIMEOUT_SECONDS = 0.25
"""For one question with all its attempts. A page has half a second."""
ATTEMPTS = 2
OK = 200
GONE = frozenset({502, 503, 504})
"""The gateway's answers when no replica answered it."""


class RemoteRecommender:
    """Asks the recommendations service at `url`; `token` returns the token of the signed-in customer, or None."""

    def __init__(self, url: str, token: Callable[[], str | None]) -> None:
        self._url, self._token = url, token
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy between the shop's own processes
        self._session.mount(self._url, DeadlineAdapter())
        self._breaker = Breaker("recommendations")
        self._budget = RetryBudget()

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:
        """What goes well with `sku`; raises RecommendationsUnavailable when there is no proper answer."""
        token = self._token() if customer_id else None
        url = f"{self._url}/api/products/{sku}/recommendations"
        params = {"cart": ",".join(cart), "limit": str(limit)}
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        deadline = time.monotonic() + TIMEOUT_SECONDS
        self._budget.earn()
        attempt = 1
        while True:
            try:
                return self._ask(url, params, headers, deadline)
            except requests.ConnectionError as error:
                if attempt == ATTEMPTS or not self._budget.spend():
                    raise _unavailable() from error
            except (requests.RequestException, LookupError, TypeError, ValueError) as error:
                raise _unavailable() from error
            attempt += 1

    def _ask(
        self, url: str, params: dict[str, str], headers: dict[str, str], deadline: float
    ) -> dict[str, Any]:
        """One attempt, if the breaker admits it. Its outcome is reported to the breaker."""
        ticket = self._breaker.admit()
        if ticket is None:
            raise _unavailable()
        report = self._breaker.failed
        try:
            left = deadline - time.monotonic()
            answer = self._session.get(
                url,
                params=params,
                headers=headers,
                timeout=left,
                allow_redirects=False,  # the customer's token is for this server only
            )
            if answer.status_code in GONE:
                raise requests.ConnectionError
            report = self._breaker.succeeded
            return _parse(answer)
        finally:
            report(ticket)


def _unavailable() -> RecommendationsUnavailable:
    return RecommendationsUnavailable("There are no recommendations just now.")


def _parse(answer: requests.Response) -> dict[str, Any]:
    """The fields that the interface promises, and no others; LookupError, TypeError or ValueError without them."""
    if answer.status_code != OK:
        raise ValueError(f"status {answer.status_code}")
    document = answer.json()
    items = [{"sku": str(item["sku"]), "score": float(item["score"])} for item in document["items"]]
    return {"sku": str(document["sku"]), "items": items}
