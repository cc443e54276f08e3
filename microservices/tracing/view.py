"""What the terminal and the page show of a trace, as rows: pure functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from microservices.tracing.span import Span, title
from microservices.tracing.trace import Call, Node, Segment, critical_path, service_map, total, trees, walk

MILLI = 1_000_000
"""Nanoseconds in a millisecond."""
STATEMENT_LENGTH = 60
CONVERTER = re.compile(r"<(?:[^<>]*:)?(\w+)>")
"""A part of a path as Flask writes it: <string(length=2):name>."""


@dataclass(frozen=True, slots=True)
class Row:
    """One bar of the waterfall. `left` and `width` are shares of the trace's time, from 0 to 1."""

    depth: int
    service: str
    name: str
    kind: str
    milliseconds: float
    left: float
    width: float
    critical: float
    """Milliseconds of the critical path that this span itself took."""
    failed: bool
    gap: str | None
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class View:
    """A request, ready to be shown."""

    request_id: str
    milliseconds: float
    spans: int
    services: tuple[str, ...]
    waterfall: tuple[Row, ...]
    waited_for: tuple[tuple[str, float], ...]
    """Milliseconds of the critical path by service, the largest first."""
    calls: tuple[Call, ...]
    later: tuple[View, ...] = ()
    """Traces that go on from this one: a recovery, or a reader of its events."""


def view(request_id: str, spans: Sequence[Span]) -> View | None:
    """The request's own traces, and those linked with them; None without spans."""
    own = {span.trace_id for span in spans if span.request_id == request_id}
    if not own:
        return None
    others = dict.fromkeys(span.trace_id for span in spans if span.trace_id not in own)
    later = (_view(trace, [span for span in spans if span.trace_id == trace], ()) for trace in others)
    return _view(request_id, [span for span in spans if span.trace_id in own], tuple(later))


def _view(title: str, spans: Sequence[Span], later: tuple[View, ...]) -> View:
    roots = trees(spans)
    start = min(root.span.start for root in roots)
    end = max(node.span.end for root in roots for _, node in walk(root))
    segments = [segment for root in roots for segment in critical_path(root)]
    return View(
        title,
        (end - start) / MILLI,
        len(spans),
        tuple(dict.fromkeys(span.service for span in spans)),
        tuple(_row(depth, node, start, end, segments) for root in roots for depth, node in walk(root)),
        tuple((service, taken / MILLI) for service, taken in total(segments).items()),
        tuple(service_map(roots)),
        later,
    )


def _row(depth: int, node: Node, start: int, end: int, segments: Sequence[Segment]) -> Row:
    span, whole = node.span, max(1, end - start)
    own = sum(segment.end - segment.start for segment in segments if segment.span is span)
    return Row(
        depth,
        span.service,
        _name(span),
        span.kind,
        (span.end - span.start) / MILLI,
        (span.start - start) / whole,
        (span.end - span.start) / whole,
        own / MILLI,
        span.failed,
        node.missing,
        tuple((name, str(value)) for name, value in sorted(span.attributes.items())),
    )


def _name(span: Span) -> str:
    """A call with the service that is called, a statement with its table."""
    callee, statement = span.attributes.get("peer.service"), span.attributes.get("db.query.text")
    if callee:
        return f"{span.name} → {callee}"
    if statement:
        return " ".join(str(statement).split())[:STATEMENT_LENGTH]
    return CONVERTER.sub(r"{\1}", title(span.name, span.attributes))
