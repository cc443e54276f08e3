"""The results of checks, and the exit status that follows from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from exercises.checks.checking import Check, NotYet
from exercises.errors import Exit


class Verdict(StrEnum):
    """The four results, in the words that are shown, and one for a check that was not run."""

    PASS = "pass"  # noqa: S105 -- a result, no password
    NOT_YET = "not yet"
    INCONCLUSIVE = "inconclusive"
    TOOL_ERROR = "tool error"
    SKIPPED = "not run"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One check's result."""

    exercise: str
    check: Check
    verdict: Verdict
    seconds: float
    tries: int = 1
    failure: NotYet | None = None
    reason: str = ""
    """Why it is inconclusive, a tool error, or was not run; with a pass, the measured figures."""
    logs: list[tuple[str, list[str]]] = field(default_factory=list)
    hung: bool = False
    """Whether it was stopped because it did not end."""

    def json(self) -> dict[str, Any]:
        """For machines."""
        document: dict[str, Any] = {
            "exercise": self.exercise,
            "task": self.check.task,
            "check": self.check.id,
            "says": self.check.says,
            "result": self.verdict.value,
            "seconds": round(self.seconds, 2),
            "tries": self.tries,
        }
        if self.reason:
            document["reason"] = self.reason
        if self.failure:
            parts = ("did", "expected", "got", "why", "look")
            document["failure"] = {part: getattr(self.failure, part) for part in parts}
            document["log"] = [f"{name}: {line}" for name, lines in self.logs for line in lines]
        return document


@dataclass(frozen=True, slots=True)
class Report:
    """All results of one run."""

    exercise: str
    seed: int
    seconds: float
    outcomes: list[Outcome]

    @property
    def status(self) -> Exit:
        """The exit status: a tool error comes before "not yet", and that before "inconclusive"."""
        seen = {outcome.verdict for outcome in self.outcomes}
        for verdict, status in (
            (Verdict.TOOL_ERROR, Exit.TOOL_ERROR),
            (Verdict.NOT_YET, Exit.NOT_YET),
            (Verdict.INCONCLUSIVE, Exit.INCONCLUSIVE),
        ):
            if verdict in seen:
                return status
        return Exit.PASS

    @property
    def passed(self) -> bool:
        """Whether all checks ran and passed."""
        return all(outcome.verdict is Verdict.PASS for outcome in self.outcomes)

    def json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "exercise": self.exercise,
            "result": {Exit.PASS: "pass", Exit.NOT_YET: "not yet", Exit.INCONCLUSIVE: "inconclusive"}.get(
                self.status, "tool error"
            ),
            "passed": self.passed,
            "seed": self.seed,
            "seconds": round(self.seconds, 2),
            "checks": [outcome.json() for outcome in self.outcomes],
        }
