"""Names the span in which a request lost most time, from its trace alone.

    microservices trace REQUEST_ID --json > trace.json
    python slowest.py trace.json

The file has a JSON list of the spans of one trace, in any order. The output is one line of JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work. Times are nanoseconds, by the clock of the machine that worked."""

    span_id: str
    parent_id: str | None
    """The span that asked for this one; None for the first. Its own span may be missing."""
    service: str
    name: str
    start: int
    end: int
    attributes: Mapping[str, Any]


def slowest(spans: Sequence[Span]) -> tuple[Span, int]:
    """The span that took most of the critical path itself, and the nanoseconds that it took."""
    longest = max(spans, key=lambda span: span.end - span.start)
    return longest, longest.end - longest.start


def read(text: str) -> list[Span]:
    """The spans in a JSON list; their other members are ignored."""
    return [Span(**{name: span[name] for name in Span.__annotations__}) for span in json.loads(text)]


def main() -> None:
    """Read the file that the command line names, and print which span it was."""
    span, nanoseconds = slowest(read(Path(sys.argv[1]).read_text(encoding="utf-8")))
    found = {
        "span_id": span.span_id,
        "ms": round(nanoseconds / 1e6, 3),
        "service": span.service,
        "name": span.name,
        "calls": span.attributes.get("peer.service"),
    }
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main()
