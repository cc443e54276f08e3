"""A run in words and as JSON: what was broken and when it was well again, what customers got, what still holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from microservices.chaos.invariants import MEANINGS

SHOWN = 5
"""Sentences about one broken invariant; there may be hundreds of the same kind."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One fault, seconds from its begin or, for `recovered`, from its end; a kill ends as it begins."""

    what: str
    at: float
    """Seconds since the load began."""
    noticed: float | None
    noticed_by: str
    sign: str
    """What was noticed."""
    recovered: float | None
    attempts: int
    """Requests that went over the wire from its begin until all was well."""
    failed_attempts: int
    requests: int
    """What customers asked for in that time, however often they had to."""
    failed_requests: int
    """Those that failed with all their repeats."""

    def line(self) -> str:
        """For people."""
        noticed = (
            "nobody noticed" if self.noticed is None else f"noticed {self.noticed:4.1f} s ({self.noticed_by})"
        )
        recovered = "NOT WELL AGAIN" if self.recovered is None else f"well after {self.recovered:4.1f} s"
        lost = f"{self.failed_requests} failed" if self.failed_requests else ""
        return f"{self.at:6.1f} s  {self.what:<48} {noticed:<32} {recovered}  {lost}".rstrip()


@dataclass(slots=True)
class Result:
    """What a run found."""

    seed: int
    minutes: float
    database: str
    faults: list[Happened] = field(default_factory=list)
    outcomes: dict[str, dict[str, int]] = field(default_factory=dict)
    """Persona to outcome to count."""
    statuses: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    settled_seconds: float = 0.0
    invariants: dict[str, list[str]] = field(default_factory=dict)
    """Name to the sentences about how it is broken."""
    kept: str = ""
    """The folder with databases and logs, when it was kept."""

    @property
    def mistakes(self) -> int:
        """Answers 500: the shop did not know what to say."""
        return self.statuses.get("500", 0)

    @property
    def clean(self) -> bool:
        """Whether all invariants hold and no answer was a 500."""
        return not any(self.invariants.values()) and not self.mistakes

    @property
    def repeat(self) -> str:
        """The command that does the same faults again."""
        return f"microservices chaos --seed {self.seed} --minutes {self.minutes:g}"

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"schema": 1, **asdict(self), "clean": self.clean, "repeat": self.repeat}

    def lines(self) -> Iterator[str]:
        """What is printed at the end."""
        yield ""
        yield f"{len(self.faults)} faults, on {self.database}, settled {self.settled_seconds:.1f} s after the last"
        yield from self._times()
        yield ""
        yield from self._outcome_table()
        yield ""
        for name, sentences in self.invariants.items():
            verdict = f"BROKEN {len(sentences)} times" if sentences else "holds"
            yield f"  {name}  {MEANINGS[name]:<40} {verdict}"
            yield from (f"        {sentence}" for sentence in sentences[:SHOWN])
        yield f"      {'never a 500':<40} {f'BROKEN {self.mistakes} times' if self.mistakes else 'holds'}"
        yield ""
        if self.clean:
            yield f"Everything holds. The same faults again: {self.repeat}"
        else:
            yield f"Broken. The same faults again: {self.repeat}"
            yield f"Databases and logs are kept in {self.kept}"

    def _times(self) -> Iterator[str]:
        for word, times in (
            ("noticed", [fault.noticed for fault in self.faults if fault.noticed is not None]),
            ("well again", [fault.recovered for fault in self.faults if fault.recovered is not None]),
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
        yield f"  answers, with those that were repeated: {statuses}"
