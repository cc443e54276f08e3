"""Trees, critical paths, maps and gaps, from spans written by hand."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as some

from microservices.tracing.span import REQUEST_ID, Span
from microservices.tracing.trace import Call, critical_path, service_map, trees, walk
from microservices.tracing.view import view


def span(name, start, end, parent=None, service=None, **facts):
    return Span("t", name, parent, service or name, name, facts.pop("kind", "server"), start, end, **facts)


def path(spans):
    [root] = trees(spans)
    return [(segment.span.name, segment.start, segment.end) for segment in critical_path(root)]


def test_calls_in_turn_are_all_on_the_critical_path():
    spans = [span("shop", 0, 100), span("stock", 10, 30, "shop"), span("pay", 40, 90, "shop")]
    assert path(spans) == [
        ("shop", 0, 10),
        ("stock", 10, 30),
        ("shop", 30, 40),
        ("pay", 40, 90),
        ("shop", 90, 100),
    ]


def test_of_two_calls_at_once_only_the_one_that_ends_last_is_on_it():
    spans = [span("shop", 0, 100), span("quick", 10, 40, "shop"), span("slow", 10, 90, "shop")]
    assert path(spans) == [("shop", 0, 10), ("slow", 10, 90), ("shop", 90, 100)]


def test_a_child_that_goes_on_after_its_parent_counts_only_while_the_parent_waits():
    spans = [span("shop", 0, 50), span("mail", 40, 900, "shop")]
    assert path(spans) == [("shop", 0, 40), ("mail", 40, 50)]


def test_the_path_goes_down_through_all_levels():
    spans = [span("a", 0, 10), span("b", 1, 9, "a"), span("c", 2, 8, "b")]
    assert path(spans) == [("a", 0, 1), ("b", 1, 2), ("c", 2, 8), ("b", 8, 9), ("a", 9, 10)]


some_times = some.tuples(some.integers(0, 1000), some.integers(0, 1000)).map(sorted)


@given(some.lists(some.tuples(some_times, some.integers(0, 30)), min_size=1, max_size=30))
def test_the_stretches_of_the_critical_path_add_up_to_the_time_of_the_request(children):
    spans = [span("0", 100, 900)]
    for number, ((start, end), parent) in enumerate(children, start=1):
        spans.append(span(str(number), start, end, str(parent % number)))
    [root] = trees(spans)
    segments = critical_path(root)
    assert sum(segment.end - segment.start for segment in segments) == 800
    assert all(first.end == second.start for first, second in itertools.pairwise(segments))


def test_the_service_map_counts_calls_and_failures_between_processes_only():
    spans = [
        span("in", 0, 100, service="shop"),
        span("select", 1, 2, "in", service="shop"),
        span("call", 10, 40, "in", service="shop", kind="client"),
        span("answer", 15, 35, "call", service="stock", failed=True),
    ]
    assert service_map(trees(spans)) == [Call("shop", "stock", 1, 30, 1)]


def test_a_parent_that_never_arrived_is_a_gap_around_its_children():
    spans = [span("one", 10, 20, "dead"), span("two", 30, 40, "dead")]
    [gap] = trees(spans)
    assert gap.missing is not None
    assert (gap.span.start, gap.span.end) == (10, 40)
    assert [child.span.name for child in gap.children] == ["one", "two"]


def test_the_missing_spans_of_a_trace_with_a_root_are_one_gap_below_it():
    spans = [
        span("gateway", 0, 100),
        span("stock", 10, 20, "dead"),
        span("pay", 30, 40, "dead too"),
        span("again", 50, 90, "gateway"),
    ]
    [root] = trees(spans)
    gap, again = root.children
    assert (gap.missing is not None, again.missing) == (True, None)
    assert [child.span.name for child in gap.children] == ["stock", "pay"]
    assert (gap.span.start, gap.span.end) == (10, 40)


def test_a_failed_call_whose_service_sent_no_span_is_a_gap_with_its_name():
    attributes = {"peer.service": "payments"}
    spans = [
        span("shop", 0, 100),
        span("call", 10, 90, "shop", service="shop", kind="client", failed=True, attributes=attributes),
    ]
    [root] = trees(spans)
    gaps = [node for _, node in walk(root) if node.missing]
    assert [gap.span.service for gap in gaps] == ["payments"]


def test_a_span_that_names_itself_as_its_parent_is_shown_once():
    assert sum(1 for root in trees([span("odd", 0, 1, "odd")]) for _ in walk(root)) == 2


def test_a_trace_that_goes_on_from_the_request_is_shown_after_it():
    own = span("shop", 0, 100, attributes={REQUEST_ID: "r1"})
    later = Span("t2", "x", None, "orders", "recovery", "internal", 500, 600, links=("t",))
    shown = view("r1", [own, later])
    assert shown.request_id == "r1"
    assert [one.services for one in shown.later] == [("orders",)]
    assert shown.waited_for == (("shop", 0.0001),)
    assert view("another", [own]) is None
