"""Asks a candidate beside the live recommender. Visitors get the live answer and do not wait for the candidate."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Sequence
from queue import Full, Queue
from typing import Any

from .comparisons import Comparisons, Outcome
from .interface import Recommender

THREADS = 2
"""Threads that ask the candidate. Their number limits its cost, however many visitors there are."""
QUEUE_SIZE = 400
"""Questions that may wait for a thread. When the queue is full, a question is dropped and counted as dropped."""


class ShadowRecommender:
    """Returns the answers of `live`; asks `candidate` the same questions and compares."""

    def __init__(self, live: Recommender, candidate: Recommender, comparisons: Comparisons) -> None:
        self._live = live
        self._candidate = candidate
        self._comparisons = comparisons
        self._questions: Queue[Callable[[], None]] = Queue(QUEUE_SIZE)
        for _ in range(THREADS):
            threading.Thread(target=self._ask, daemon=True).start()

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:
        """The answer of `live`, without waiting for the candidate."""
        given = self._live.suggest(sku, cart, customer_id, limit)

        # The candidate needs the visitor's token, so the context goes with the question. Flask's
        # copy_current_request_context would not do: it clears the request, which the visitor's thread may still use.
        visitor = contextvars.copy_context()

        def compare() -> None:
            candidate = visitor.run(self._candidate.suggest, sku, cart, customer_id, limit)
            self._comparisons.compare(given, candidate, f"{sku}, cart {list(cart)}, customer {customer_id}")

        try:
            self._questions.put_nowait(compare)
        except Full:
            self._comparisons.count(Outcome.DROPPED)
        return given

    def _ask(self) -> None:
        while True:
            compare = self._questions.get()
            try:
                compare()
            except Exception:  # noqa: BLE001 -- no error of the candidate may end this thread
                self._comparisons.count(Outcome.FAILED)
