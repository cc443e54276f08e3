"""Sends a share of the questions to the service. The share can be changed without a restart.

It is in a file, because every process of the monolith must use the same share: {"remote_percent": 10}.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .interface import RecommendationsUnavailable, Recommender

log = logging.getLogger(__name__)


class Switch:
    """The share that goes to the service, in percent, read from the file; 0 until the file was read."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._percent = 0.0

    def percent(self) -> float:
        """The current share. A file that is missing or has no valid content changes nothing."""
        try:
            self._percent = _share(json.loads(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError, LookupError, TypeError) as error:
            log.warning("%s cannot be used, the share stays %g %%: %s", self._file, self._percent, error)
        return self._percent


def _share(document: Any) -> float:
    """The share in a switch file; LookupError, TypeError or ValueError unless it is a number from 0 to 100."""
    percent = document["remote_percent"]
    if isinstance(percent, bool) or not 0 <= percent <= 100:
        raise ValueError(f"{percent} is no number from 0 to 100")
    return float(percent)


class SwitchingRecommender:
    """Asks `new` for the switch's share of the questions and `old` for the rest."""

    def __init__(self, old: Recommender, new: Recommender, switch: Switch) -> None:
        self._old, self._new, self._switch = old, new, switch

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:
        """The answer of the chosen recommender."""
        drawn = random.random() * 100
        chosen = self._new if drawn < self._switch.percent() else self._old
        return chosen.suggest(sku, cart, customer_id, limit)


class NoRecommender:
    """Stands for the old code after its deletion: pages show bestsellers."""

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:  # noqa: ARG002
        """Raises RecommendationsUnavailable."""
        raise RecommendationsUnavailable("Recommendations are switched off.")
