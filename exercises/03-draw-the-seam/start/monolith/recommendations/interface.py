"""The seam: what the rest of the shop may know about recommendations.

Callers ask `recommender()`. `create_app` chooses once which one that is: the code in this process today, a service in
another process later, a fake in a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from flask import current_app

from ..chassis.errors import Unavailable


class RecommendationsUnavailable(Unavailable):
    """Recommendations do not answer now. A caller that can go on without them should do so."""


class Recommender(Protocol):
    """Says what goes well with a product.

    The interface does not say where the answer comes from: it has no connection, no request and no table.
    """

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:
        """Up to `limit` products as `{"sku": ..., "items": [{"sku": ..., "score": ...}, ...]}`, best first.

        `cart` has the SKUs in the customer's cart; `customer_id` is None for a visitor who is not signed in.
        Raises RecommendationsUnavailable, and nothing else, when there is no answer.
        """
        ...


def recommender() -> Recommender:
    """The recommender of the application that handles this request."""
    chosen: Recommender = current_app.extensions["recommender"]
    return chosen
