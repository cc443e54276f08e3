"""Runs a candidate beside the recommender in charge, where nobody can see it: no visitor, and no clock of theirs."""

from __future__ import annotations

import contextvars
import random
import threading
from collections.abc import Callable, Sequence
from queue import Full, Queue
from typing import Any

from .comparisons import Comparisons, Outcome
from .interface import Recommender

ASKING = 1
"""Threads that ask the candidate: it costs no more than this, however many visitors there are."""
SHARE = 0.5
"""Of the questions, chosen at random: enough to compare, at half of the load."""
WAITING = 200
"""Questions that may wait for them; further ones are dropped, and counted as that."""


class ShadowRecommender:
    """Answers what `live` answers; asks `candidate` the same and compares."""

    def __init__(self, live: Recommender, candidate: Recommender, comparisons: Comparisons) -> None:
        self._live = live
        self._candidate = candidate
        self._comparisons = comparisons
        self._questions: Queue[Callable[[], None]] = Queue(WAITING)
        for number in range(ASKING):
            threading.Thread(target=self._ask, name=f"shadow-{number}", daemon=True).start()

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:
        """What `live` says, as fast as it says it."""
        given = self._live.suggest(sku, cart, customer_id, limit)
        if random.random() >= SHARE:
            return given

        # Who asks travels along: the candidate needs the visitor's token. Flask's copy_current_request_context would
        # clear the request under the feet of the visitor's own thread when the copy ends first.
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
            except Exception:  # noqa: BLE001 -- whatever is wrong with the candidate, this thread lives on
                self._comparisons.count(Outcome.FAILED)
