"""The recommender in another process, asked over HTTP with a deadline, repeats and a breaker."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import requests

from microservices.chassis import context, spans
from microservices.chassis.breaker import Breaker, RetryBudget
from microservices.chassis.deadline import DeadlineAdapter

from ..chassis.observability import called
from .interface import RecommendationsUnavailable

SERVICE = "recommendations"
TIMEOUT_SECONDS = 0.25
"""For one question with all its attempts. A page has half a second."""
ATTEMPTS = 2
PAUSE_SECONDS = 0.02
OK = 200
GONE = frozenset({502, 503, 504})
"""The gateway's answers when no replica answered it."""


class Refused(RecommendationsUnavailable):
    """The breaker is open: nothing was sent."""


class Tally:
    """What is counted of one question."""

    def __init__(self) -> None:
        self.outcome, self.attempts = "unavailable", 0


class RemoteRecommender:
    """Asks the recommendations service at `url`; `token` returns the token of the signed-in customer, or None."""

    def __init__(self, url: str, token: Callable[[], str | None]) -> None:
        self._url, self._token = url.rstrip("/"), token
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy between the shop's own processes
        self._session.mount(self._url, DeadlineAdapter())
        self._breaker = Breaker("recommendations")
        self._budget = RetryBudget()

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:
        """What goes well with `sku`; raises RecommendationsUnavailable when there is no proper answer."""
        tally = Tally()
        try:
            answer = self._suggest(sku, cart, customer_id, limit, tally)
            tally.outcome = "ok"
        except Refused:
            tally.outcome = "refused-by-breaker"
            raise
        finally:
            called(SERVICE, tally.outcome, tally.attempts)
        return answer

    def _suggest(
        self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int, tally: Tally
    ) -> dict[str, Any]:
        token = self._token() if customer_id else None
        url = f"{self._url}/api/products/{sku}/recommendations"
        params = {"cart": ",".join(cart), "limit": str(limit)}
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        here = context.current()
        if here is not None:
            headers |= here.headers()
        deadline = time.monotonic() + TIMEOUT_SECONDS
        self._budget.earn()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._ask(url, params, headers, deadline, tally)
            except requests.ConnectionError as error:
                if attempt == ATTEMPTS or not self._budget.spend():
                    raise _unavailable() from error
            except (requests.RequestException, LookupError, TypeError, ValueError) as error:
                raise _unavailable() from error
            time.sleep(random.uniform(0, PAUSE_SECONDS))
        raise _unavailable()

    def _ask(
        self, url: str, params: dict[str, str], headers: dict[str, str], deadline: float, tally: Tally
    ) -> dict[str, Any]:
        """One attempt, if the breaker admits it. Its outcome is reported to the breaker."""
        ticket = self._breaker.admit()
        if ticket is None:
            spans.refused(SERVICE)
            raise Refused("There are no recommendations just now.")
        tally.attempts += 1
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
