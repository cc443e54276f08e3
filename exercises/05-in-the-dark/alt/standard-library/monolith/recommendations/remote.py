"""The recommender in another process, asked with Python's standard library."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from .interface import RecommendationsUnavailable

TIMEOUT_SECONDS = 2.0


class RemoteRecommender:
    """Asks the recommendations service at `url`; `token` returns the token of the signed-in customer, or None."""

    def __init__(self, url: str, token: Callable[[], str | None]) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._opener = build_opener(ProxyHandler({}))

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:
        """What goes well with `sku`; raises RecommendationsUnavailable when there is no proper answer."""
        question = urlencode({"cart": ",".join(cart), "limit": limit})
        request = Request(f"{self._url}/api/products/{sku}/recommendations?{question}")  # noqa: S310 - our own
        token = self._token() if customer_id else None
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                found = json.load(answer)
            items = [{"sku": item["sku"], "score": item["score"]} for item in found["items"]]
            return {"sku": found["sku"], "items": items}
        except (OSError, http.client.HTTPException, LookupError, TypeError, ValueError) as error:
            raise RecommendationsUnavailable("There are no recommendations just now.") from error
