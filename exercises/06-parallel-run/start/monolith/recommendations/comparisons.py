"""Counts what came of the comparisons, where /metrics shows it: recommendations_compared_total{outcome="..."}."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Any

from prometheus_client import CollectorRegistry, Counter

log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """What came of asking the candidate as well."""

    SAME = "same"
    DIFFERENT = "different"
    FAILED = "failed"
    """The candidate had no answer."""
    DROPPED = "dropped"
    """It was not asked, because it could not keep up."""


class Comparisons:
    """The counter of one application, in the registry of its metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        name, says = (
            "recommendations_compared",
            "Answers of the candidate, compared with those that were given",
        )
        self._outcomes = Counter(name, says, ["outcome"], registry=registry)
        for outcome in Outcome:
            self._outcomes.labels(outcome)  # so that each is shown as 0 from the beginning

    def count(self, outcome: Outcome) -> None:
        """Add one."""
        self._outcomes.labels(outcome).inc()

    def compare(self, given: dict[str, Any], candidate: dict[str, Any], question: str) -> None:
        """Count whether both are the same; two that differ are logged with the question."""
        self.count(Outcome.SAME if candidate == given else Outcome.DIFFERENT)
        if candidate != given:
            log.warning(
                "differs for %s: given %s, candidate %s", question, given["items"], candidate["items"]
            )
