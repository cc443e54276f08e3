"""The result of a run as text and JSON: each fault and its recovery, the customers' outcomes, the invariants."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from microservices.chaos.invariants import TITLES

MAX_SENTENCES = 5
"""Printed for each broken invariant; there may be hundreds of the same kind."""


@dataclass(frozen=True, slots=True)
class FaultResult:
    """One fault and its effect. A kill ends when it begins."""

    what: str
    at: float
    """Seconds from the start of the load to the start of the fault."""
    noticed: float | None
    """Seconds from the start of the fault."""
    noticed_by: str
    sign: str
    """What was noticed: a message of the launcher, a line of a log, or a request."""
    recovered: float | None
    """Seconds from the end of the fault."""
    attempts: int
    """Requests on the network, retries included, from the start of the fault until the recovery."""
    failed_attempts: int
    requests: int
    """What customers asked for in that time, each counted once however often it was retried."""
    failed_requests: int
    """Those that failed after all retries."""
    is_harmless: bool = False
    """Whether none may fail because of it, not even once: it is a client's own mistake."""

    def line(self) -> str:
        """One line for people."""
        noticed = (
            "not noticed" if self.noticed is None else f"noticed {self.noticed:4.1f} s ({self.noticed_by})"
        )
        recovered = "NOT RECOVERED" if self.recovered is None else f"recovered after {self.recovered:4.1f} s"
        lost = f"{self.failed_requests} failed" if self.failed_requests else ""
        return f"{self.at:6.1f} s  {self.what:<48} {noticed:<32} {recovered}  {lost}".rstrip()


@dataclass(slots=True)
class Result:
    """The result of a run."""

    seed: int
    minutes: float
    database: str
    only: str | None = None
    """The one kind of fault that was injected; None for all."""
    faults: list[FaultResult] = field(default_factory=list)
    outcomes: dict[str, dict[str, int]] = field(default_factory=dict)
    """Persona to outcome to count."""
    statuses: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    settled_seconds: float = 0.0
    invariants: dict[str, list[str]] = field(default_factory=dict)
    """Name to a sentence for each violation."""
    kept: str = ""
    """The folder with databases and logs; empty when it was deleted."""

    @property
    def internal_errors(self) -> int:
        """How many answers had the status 500."""
        return self.statuses.get("500", 0)

    @property
    def harmed(self) -> int:
        """How many requests of others failed during a fault that is one client's own mistake."""
        return sum(fault.failed_attempts for fault in self.faults if fault.is_harmless)

    @property
    def clean(self) -> bool:
        """Whether all invariants hold, no answer was a 500, and a bad client harmed nobody."""
        return not any(self.invariants.values()) and not self.internal_errors and not self.harmed

    @property
    def repeat(self) -> str:
        """The command that injects the same faults again."""
        only = f" --only {shlex.quote(self.only)}" if self.only else ""
        return f"microservices chaos --seed {self.seed} --minutes {self.minutes:g}{only}"

    def to_dict(self) -> dict[str, Any]:
        """The result as a dict for JSON."""
        return {"schema": 1, **asdict(self), "clean": self.clean, "repeat": self.repeat}

    def lines(self) -> Iterator[str]:
        """The text that is printed at the end."""
        yield ""
        yield f"{len(self.faults)} faults on {self.database}; settled {self.settled_seconds:.1f} s after the last one"
        yield from self._times()
        yield ""
        yield from self._outcome_table()
        yield ""
        for name, sentences in self.invariants.items():
            verdict = f"BROKEN {len(sentences)} times" if sentences else "holds"
            yield f"  {name}  {TITLES[name]:<40} {verdict}"
            yield from (f"        {sentence}" for sentence in sentences[:MAX_SENTENCES])
        for title, count in (
            ("no answer with status 500", self.internal_errors),
            ("a bad client harms nobody else", self.harmed),
        ):
            yield f"      {title:<40} {f'BROKEN {count} times' if count else 'holds'}"
        yield ""
        if self.clean:
            yield f"All invariants hold. The same faults again: {self.repeat}"
        else:
            yield f"Broken. The same faults again: {self.repeat}"
            yield f"Databases and logs are in {self.kept}"

    def _times(self) -> Iterator[str]:
        for word, times in (
            ("noticed", [fault.noticed for fault in self.faults if fault.noticed is not None]),
            ("recovered", [fault.recovered for fault in self.faults if fault.recovered is not None]),
        ):
            if times:
                ordered = sorted(times)
                middle, last = ordered[len(ordered) // 2], ordered[-1]
                yield f"  {word:<12} {len(times):3} times, median {middle:.1f} s, at most {last:.1f} s"

    def _outcome_table(self) -> Iterator[str]:
        kinds = ("ok", "refused", "failed", "unknown")
        yield f"  {'customers':<12}" + "".join(f"{kind:>10}" for kind in kinds)
        for persona, counts in sorted(self.outcomes.items()):
            yield f"  {persona:<12}" + "".join(f"{counts.get(kind, 0):>10,}" for kind in kinds)
        statuses = ", ".join(f"{count:,} × {status}" for status, count in sorted(self.statuses.items()))  # noqa: RUF001
        yield f"  answers, retries included: {statuses}"
