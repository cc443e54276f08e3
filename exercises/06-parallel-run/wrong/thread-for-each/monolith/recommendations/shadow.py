"""Asks a candidate beside the live recommender. Visitors get the live answer and do not wait for the candidate."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Sequence
from typing import Any

from .comparisons import Comparisons, Outcome
from .interface import RecommendationsUnavailable, Recommender


class ShadowRecommender:
    """Returns the answers of `live`; asks `candidate` the same questions and compares."""

    def __init__(self, live: Recommender, candidate: Recommender, comparisons: Comparisons) -> None:
        self._live = live
        self._candidate = candidate
        self._comparisons = comparisons

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:
        """The answer of `live`, without waiting for the candidate."""
        given = self._live.suggest(sku, cart, customer_id, limit)
        visitor = contextvars.copy_context()

        def compare() -> None:
            try:
                candidate = visitor.run(self._candidate.suggest, sku, cart, customer_id, limit)
                self._comparisons.compare(given, candidate, sku)
            except RecommendationsUnavailable:
                self._comparisons.count(Outcome.FAILED)

        threading.Thread(target=compare, daemon=True).start()
        return given
