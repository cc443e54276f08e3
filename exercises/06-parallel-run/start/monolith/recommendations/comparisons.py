"""Counts the outcomes of the comparisons; /metrics shows them as recommendations_compared_total{outcome="..."}."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Any

from prometheus_client import CollectorRegistry, Counter

log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """The outcome of one comparison."""

    SAME = "same"
    DIFFERENT = "different"
    FAILED = "failed"
    """The candidate gave no answer."""
    DROPPED = "dropped"
    """The candidate was not asked, because too many questions were waiting."""


class Comparisons:
    """The counter of one application, in the registry of its metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        name, says = (
            "recommendations_compared",
            "Answers of the candidate, compared with those that were given",
        )
        self._outcomes = Counter(name, says, ["outcome"], registry=registry)
        for outcome in Outcome:
            self._outcomes.labels(outcome)  # so that /metrics shows each from the start, as 0

    def count(self, outcome: Outcome) -> None:
        """Add one."""
        self._outcomes.labels(outcome).inc()

    def compare(self, given: dict[str, Any], candidate: dict[str, Any], question: str) -> None:
        """Count whether both answers are the same. Two that differ are logged with the question."""
        self.count(Outcome.SAME if candidate == given else Outcome.DIFFERENT)
        if candidate != given:
            log.warning(
                "differs for %s: given %s, candidate %s", question, given["items"], candidate["items"]
            )
