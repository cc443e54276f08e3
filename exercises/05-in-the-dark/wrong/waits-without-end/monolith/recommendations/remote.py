"""The recommender in another process: the same question, asked over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import requests

from .interface import RecommendationsUnavailable


class RemoteRecommender:
    """Asks the recommendations service at `url`; `token` gives the token of whoever is signed in."""

    def __init__(self, url: str, token: Callable[[], str | None]) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy between the shop's own processes

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:
        """What goes well with `sku`; raises RecommendationsUnavailable for whatever is not an answer."""
        token = self._token() if customer_id else None
        try:
            answer = self._session.get(
                f"{self._url}/api/products/{sku}/recommendations",
                params={"cart": ",".join(cart), "limit": str(limit)},
                headers={"Authorization": f"Bearer {token}"} if token else {},
            )
            answer.raise_for_status()
            return _understood(answer.json())
        except (requests.RequestException, LookupError, TypeError, ValueError) as error:
            raise RecommendationsUnavailable("There are no recommendations just now.") from error


def _understood(document: Any) -> dict[str, Any]:
    """The answer with what the interface promises, and nothing else."""
    items = [{"sku": str(item["sku"]), "score": float(item["score"])} for item in document["items"]]
    return {"sku": str(document["sku"]), "items": items}
