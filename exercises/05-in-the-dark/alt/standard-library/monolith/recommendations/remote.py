"""The recommender in another process, asked with Python's standard library."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode, urlsplit

from .interface import RecommendationsUnavailable

TIMEOUT_SECONDS = 2.0


class RemoteRecommender:
    """Asks the recommendations service at `url`; `token` returns the token of the signed-in customer, or None."""

    def __init__(self, url: str, token: Callable[[], str | None]) -> None:
        self._host = urlsplit(url).netloc
        self._token = token

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:
        """What goes well with `sku`; raises RecommendationsUnavailable when there is no proper answer."""
        token = self._token() if customer_id else None
        question = urlencode({"cart": ",".join(cart), "limit": limit})
        try:
            found = self._get(f"/api/products/{sku}/recommendations?{question}", token)
            items = [{"sku": item["sku"], "score": item["score"]} for item in found["items"]]
            return {"sku": found["sku"], "items": items}
        except (OSError, HTTPException, LookupError, TypeError, ValueError) as error:
            raise RecommendationsUnavailable("There are no recommendations just now.") from error

    def _get(self, path: str, token: str | None) -> Any:
        """The document; a timer hangs up when it is not complete in time."""
        connection = HTTPConnection(self._host, timeout=TIMEOUT_SECONDS)
        connection.connect()
        timer = threading.Timer(TIMEOUT_SECONDS, _hang_up, [connection.sock])
        timer.start()
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
            answer = connection.getresponse()
            if answer.status != 200:
                raise ValueError(f"status {answer.status}")
            return json.load(answer)
        finally:
            timer.cancel()
            connection.close()


def _hang_up(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
