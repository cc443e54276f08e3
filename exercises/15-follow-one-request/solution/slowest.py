"""Names the span in which a request lost most time, from its trace alone.

    microservices trace REQUEST_ID --json > trace.json
    python slowest.py trace.json

The file has a JSON list of the spans of one trace, in any order. The output is one line of JSON.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
    by_id = {span.span_id: span for span in spans}
    root = next(span for span in spans if span.parent_id is None)
    children = defaultdict(list)
    for span in spans:
        if span is not root:
            parent = by_id.get(str(span.parent_id), root)
            children[parent.span_id].append(span)
    own: dict[str, int] = defaultdict(int)
    for span_id, nanoseconds in critical_path(root, children, root.start, root.end):
        own[span_id] += nanoseconds
    most = max(own, key=lambda span_id: own[span_id])
    return by_id[most], own[most]


def critical_path(
    span: Span, children: Mapping[str, Sequence[Span]], start: int, end: int
) -> Iterator[tuple[str, int]]:
    """What was waited for between two times, the last piece first: ids of spans, with nanoseconds of their own."""
    at = end
    for child in sorted(children.get(span.span_id, ()), key=lambda child: -child.end):
        began, ended = max(child.start, start), min(child.end, at)
        if began < ended:
            yield span.span_id, at - ended
            yield from critical_path(child, children, began, ended)
            at = began
    yield span.span_id, at - start


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
