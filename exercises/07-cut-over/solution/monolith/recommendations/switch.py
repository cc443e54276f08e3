"""Sends a stated share of the questions to the service, and changes its mind within a moment, without a restart.

The share stands in a file, because every process of the monolith has to follow it and no process should have to be
asked: {"remote_percent": 10}.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .interface import RecommendationsUnavailable, Recommender

LOOK_AGAIN_SECONDS = 0.2
log = logging.getLogger(__name__)


class Switch:
    """The share that goes to the service, in percent, as the file says it; it begins with none."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._percent = 0.0
        self._look_at = 0.0

    def percent(self) -> float:
        """Today's share. A file that is missing or makes no sense changes nothing."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_AGAIN_SECONDS
            try:
                self._percent = float(json.loads(self._file.read_text(encoding="utf-8"))["remote_percent"])
            except (OSError, ValueError, LookupError, TypeError) as error:
                log.warning("%s cannot be used, %g %% stay: %s", self._file, self._percent, error)
        return self._percent


class SwitchingRecommender:
    """Asks `new` for the switch's share of the questions and `old` for the rest."""

    def __init__(self, old: Recommender, new: Recommender, switch: Switch) -> None:
        self._old, self._new, self._switch = old, new, switch

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:
        """What the chosen one says."""
        chance = random.random() * 100
        chosen = self._new if chance < self._switch.percent() else self._old
        return chosen.suggest(sku, cart, customer_id, limit)


class NoRecommender:
    """What there is to go back to once the old code is gone: pages with bestsellers."""

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:  # noqa: ARG002
        """Raises RecommendationsUnavailable."""
        raise RecommendationsUnavailable("Recommendations are switched off.")
