"""The recommender in another process, asked over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import requests

from microservices.chassis.deadline import DeadlineAdapter

from .interface import RecommendationsUnavailable

TIMEOUT_SECONDS = 2.0
OK = 200


class RemoteRecommender:
    """Asks the recommendations service at `url`; `token` returns the token of the signed-in customer, or None."""

    def __init__(self, url: str, token: Callable[[], str | None]) -> None:
        self._url = url
        self._token = token
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy between the shop's own processes
        self._session.mount(self._url, DeadlineAdapter())  # the timeout is for the whole answer

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:
        """What goes well with `sku`; raises RecommendationsUnavailable when there is no proper answer."""
        token = self._token() if customer_id else None
        try:
            answer = self._session.get(
                f"{self._url}/api/products/{sku}/recommendations",
                params={"cart": ",".join(cart), "limit": str(limit)},
                headers={"Authorization": f"Bearer {token}"} if token else {},
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,  # the customer's token is for this server only
            )
            return _parse(answer)
        except (requests.RequestException, LookupError, TypeError, ValueError) as error:
            raise RecommendationsUnavailable("There are no recommendations just now.") from error


def _parse(answer: requests.Response) -> dict[str, Any]:
    """The fields that the interface promises, and no others; LookupError, TypeError or ValueError without them."""
    if answer.status_code != OK:
        raise ValueError(f"status {answer.status_code}")
    document = answer.json()
    items = [{"sku": str(item["sku"]), "score": float(item["score"])} for item in document["items"]]
    return {"sku": str(document["sku"]), "items": items}
