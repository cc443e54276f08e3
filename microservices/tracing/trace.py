"""One trace as a tree, its critical path and its service map: pure functions of spans.

Clocks of processes on one machine agree well enough. Between machines a child may seem to begin before its parent; it
is shown where its clock says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from microservices.tracing.span import Span


@dataclass(slots=True)
class Node:
    """A span with those that it asked for, by their start."""

    span: Span
    children: list[Node] = field(default_factory=list)
    missing: str | None = None
    """Why this place is a gap: a sentence; None for a span that arrived."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the critical path: nobody further down was worked for or waited for."""

    span: Span
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Call:
    """An arrow of the service map: how often, and how many nanoseconds the caller waited in all."""

    caller: str
    callee: str
    times: int
    nanoseconds: int
    failures: int


def trees(spans: Iterable[Span]) -> list[Node]:
    """The roots, by their start. Parents that never arrived become a gap with their children below it.

    If the trace has a root, the gap is below it: where exactly, only the missing spans would tell.
    """
    nodes = {span.span_id: Node(span) for span in spans}
    roots: list[Node] = []
    orphans: list[Node] = []
    for node in nodes.values():
        parent = node.span.parent_id
        if parent is None:
            roots.append(node)
        elif parent in nodes and parent != node.span.span_id:
            nodes[parent].children.append(node)
        else:
            orphans.append(node)
    roots += _gaps(orphans, {root.span.trace_id: root for root in roots})
    for node in nodes.values():
        node.children.sort(key=lambda child: child.span.start)
    for root in roots:
        _mark_unanswered(root)
    return sorted(roots, key=lambda root: root.span.start)


def walk(root: Node, depth: int = 0) -> Iterator[tuple[int, Node]]:
    """The tree from the top, each node with its depth."""
    yield depth, root
    for child in root.children:
        yield from walk(child, depth + 1)


def critical_path(root: Node) -> list[Segment]:
    """What the request waited for at each moment, from its begin to its end: the stretches add up to its time.

    From the end backwards: the child that ended last is what was waited for; where there is none, the span itself
    worked (Yang and Miller 1988, for a tree of spans).
    """
    return list(reversed(list(_backwards(root, root.span.start, root.span.end))))


def service_map(roots: Iterable[Node]) -> list[Call]:
    """Who called whom, in the order of the first call."""
    found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for root in roots:
        for _, node in walk(root):
            for child in node.children:
                if child.span.service != node.span.service and child.missing is None:
                    totals = found[node.span.service, child.span.service]
                    totals[0] += 1
                    totals[1] += node.span.end - node.span.start
                    totals[2] += child.span.failed
    return [Call(caller, callee, *totals) for (caller, callee), totals in found.items()]


def _backwards(node: Node, start: int, end: int) -> Iterator[Segment]:
    """The critical path within `node` between two times, the last stretch first."""
    at = end
    for child in sorted(node.children, key=lambda child: -min(child.span.end, end)):
        child_end = min(child.span.end, at)
        child_start = max(child.span.start, start)
        if child_end <= child_start or child.span.start >= at:
            continue
        if child_end < at:
            yield Segment(node.span, child_end, at)
        yield from _backwards(child, child_start, child_end)
        at = child_start
        if at <= start:
            return
    if at > start:
        yield Segment(node.span, start, at)


def _gaps(orphans: Iterable[Node], root_of: Mapping[str, Node]) -> list[Node]:
    """Put the gaps of traces with a root below it; returns the others, one for each missing parent."""
    gaps: dict[str, Node] = {}
    for orphan in orphans:
        trace = orphan.span.trace_id
        place = trace if trace in root_of else str(orphan.span.parent_id)
        gaps.setdefault(place, _gap(orphan.span)).children.append(orphan)
    for place, gap in gaps.items():
        gap.span = _around(gap)
        if place in root_of:
            root_of[place].children.append(gap)
    return [gap for place, gap in gaps.items() if place not in root_of]


def _gap(child: Span) -> Node:
    span = Span(
        child.trace_id, child.parent_id or "", None, "?", "no span arrived", "internal", 0, 0, failed=True
    )
    return Node(span, missing="Spans are missing here: their process ended before it could send them.")


def _around(gap: Node) -> Span:
    start = min(child.span.start for child in gap.children)
    end = max(child.span.end for child in gap.children)
    found = gap.span
    return Span(found.trace_id, found.span_id, None, "?", found.name, found.kind, start, end, failed=True)


def _mark_unanswered(root: Node) -> None:
    """Below a failed call to a service of this trace that left no span, a gap says so."""
    for _, node in list(walk(root)):
        called = str(node.span.attributes.get("peer.service", ""))
        unanswered = node.span.kind == "client" and node.span.failed and not node.children
        if unanswered and called:
            span = Span(
                node.span.trace_id, "", node.span.span_id, called, "no span arrived", "server",
                node.span.start, node.span.end, failed=True,
            )  # fmt: skip
            node.children.append(
                Node(span, missing=f"{called} sent no span: it ended, hung, or was never reached.")
            )


def total(segments: Sequence[Segment]) -> dict[str, int]:
    """Nanoseconds of the critical path by service, the largest first."""
    sums: dict[str, int] = defaultdict(int)
    for segment in segments:
        sums[segment.span.service] += segment.end - segment.start
    return dict(sorted(sums.items(), key=lambda item: -item[1]))
