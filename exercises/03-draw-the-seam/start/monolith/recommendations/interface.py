"""The seam: what the rest of the shop may know of recommendations.

Whoever wants recommendations asks `recommender()`. What stands behind it is chosen once, where the application is
put together: the code next door today, a service in another process later, a fake in a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from flask import current_app

from ..chassis.errors import Unavailable


class RecommendationsUnavailable(Unavailable):
    """There are none just now; whoever can do without them does."""


class Recommender(Protocol):
    """Says what goes well with a product.

    Nothing in here says where the answer comes from: no connection, no request, no table.
    """

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:
        """Up to `limit` products as `{"sku": ..., "items": [{"sku": ..., "score": ...}, ...]}`, best first.

        `cart` holds the SKUs in the customer's cart, `customer_id` is None for somebody who is not signed in.
        Raises RecommendationsUnavailable, and nothing else, when there is no answer to be had.
        """
        ...


def recommender() -> Recommender:
    """The recommender of the application that handles this request."""
    chosen: Recommender = current_app.extensions["recommender"]
    return chosen
