"""Traces to try a program on: drawn at random, each with one span that took clearly most of the critical path."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from microservices.tracing.span import Span
from microservices.tracing.trace import Segment, critical_path, trees

MILLI = 1_000_000
CLEARLY = 1.4
"""By so much the slowest span exceeds the next one."""


def slowest_of(spans: Sequence[Span]) -> Segment | None:
    """The span with the largest share of the critical path, from 0 on; None unless it is clearly so."""
    roots = [root for root in trees(spans) if root.span.parent_id is None and not root.missing]
    if len(roots) != 1:
        return None
    sums: Counter[str] = Counter()
    by_id = {span.span_id: span for span in spans}
    for segment in critical_path(roots[0]):
        span = segment.span  # a gap is its caller's: nobody else was there to be waited for
        known = (each for each in (span.span_id, span.parent_id) if each in by_id)
        sums[next(known, roots[0].span.span_id)] += segment.end - segment.start
    (first, most), (_, next_most) = [*sums.most_common(2), ("", 0)][:2]
    if first not in by_id or most < CLEARLY * next_most:
        return None
    return Segment(by_id[first], 0, most)


class Draft:
    """A trace to be written, in milliseconds since its begin."""

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.spans = chance, list[Span]()
        self._trace = f"{chance.getrandbits(128):032x}"
        self._zero = chance.randrange(10**18, 2 * 10**18)

    def new_id(self) -> str:
        """An id of a span."""
        return f"{self.chance.getrandbits(64):016x}"

    def add(self, parent: str | None, service: str, name: str, start: float, end: float, **facts: Any) -> str:
        """A span; returns its id."""
        span_id = self.new_id()
        attributes = {"peer.service": facts["calls"]} if "calls" in facts else {}
        kind = "client" if attributes else "server"
        began, ended = (self._zero + round(ms * MILLI) for ms in (start, end))
        failed = bool(facts.get("failed"))
        span = Span(self._trace, span_id, parent, service, name, kind, began, ended, failed, attributes)
        self.spans.append(span)
        return span_id

    def call(self, parent: str, caller: str, callee: str, start: float, end: float, way: float = 2) -> str:
        """A call and the callee's span; returns the id of the latter."""
        sent = self.add(parent, caller, "GET", start, end, calls=callee)
        return self.add(sent, callee, f"GET /{callee}", start + way, end - way)

    def page(self, end: float) -> str:
        """The first span."""
        return self.add(None, "shop", "GET /page", 0, end)

    def some(self, low: float, high: float) -> float:
        """A number of milliseconds."""
        return self.chance.uniform(low, high)


def _nested(draft: Draft) -> list[Span]:
    slow = draft.some(150, 300)
    root = draft.page(slow + 70)
    stock = draft.call(root, "shop", "stock", 10, slow + 50)
    draft.add(stock, "stock", "SELECT", 30, 30 + slow)
    return draft.spans


def _own_work(draft: Draft) -> list[Span]:
    """The span itself works between many short calls."""
    step = draft.some(30, 50)
    root = draft.page(6 * step)
    for number in range(5):
        draft.call(root, "shop", "stock", number * step + step * 0.6, (number + 1) * step)
    return draft.spans


def _beside_a_longer_one(draft: Draft) -> list[Span]:
    """The longest single piece of work has a longer chain beside it, so nobody waits for it."""
    step = draft.some(50, 70)
    root = draft.page(5 * step)
    draft.call(root, "shop", "stock", 0.2 * step, 2.7 * step)
    prices = draft.call(root, "shop", "prices", 5, 5 * step - 5)
    for number, part in enumerate((1.0, 1.7, 1.0)):
        began = 10 + step * sum((1.0, 1.7, 1.0)[:number])
        draft.add(prices, "prices", f"SELECT {number}", began, began + step * part)
    return draft.spans


def _overlapping(draft: Draft) -> list[Span]:
    """Two calls overlap a little; the first took longer, the second ended last."""
    first = draft.some(200, 260)
    root = draft.page(first + 150)
    draft.call(root, "shop", "stock", 5, first + 20)
    draft.call(root, "shop", "prices", first, first + 140)
    return draft.spans


def _repeated(draft: Draft) -> list[Span]:
    lost, slow = draft.some(80, 110), draft.some(180, 260)
    root = draft.page(lost + slow + 40)
    draft.add(root, "shop", "GET", 5, lost, calls="stock", failed=True)
    draft.call(root, "shop", "stock", lost + 20, lost + slow + 30)
    return draft.spans


def _unanswered(draft: Draft) -> list[Span]:
    slow = draft.some(150, 250)
    root = draft.page(slow + 100)
    draft.call(root, "shop", "prices", 5, 60)
    draft.add(root, "shop", "GET", 70, 70 + slow, calls="stock", failed=True)
    return draft.spans


def _missing_parent(draft: Draft) -> list[Span]:
    slow = draft.some(180, 250)
    root = draft.page(slow + 110)
    draft.call(root, "shop", "prices", 5, 70)
    draft.add(draft.new_id(), "stock", "GET /stock", 80, 80 + slow)
    return draft.spans


def _clock_ahead(draft: Draft) -> list[Span]:
    """The called machine's clock is behind, so most of its span lies before the call."""
    slow = draft.some(170, 230)
    root = draft.page(slow + 180)
    draft.call(root, "shop", "prices", 10, 10 + slow)
    sent = draft.add(root, "shop", "GET", 30 + slow, 130 + slow, calls="stock")
    draft.add(sent, "stock", "GET /stock", 80 - slow, 90 + slow)
    return draft.spans


def _goes_on(draft: Draft) -> list[Span]:
    """The work that takes longest was begun by the request, and went on after its end."""
    slow = draft.some(140, 200)
    root = draft.page(slow + 80)
    draft.call(root, "shop", "prices", 5, 5 + slow)
    draft.add(root, "mailer", "send", 20 + slow, 900)
    return draft.spans


CASES: dict[str, Callable[[Draft], list[Span]]] = {
    "one call has a slow statement": _nested,
    "the longest work has a longer chain beside it": _beside_a_longer_one,
    "two calls overlap": _overlapping,
    "the page itself works between short calls": _own_work,
    "a lost call is repeated": _repeated,
    "the called service sent no span": _unanswered,
    "the parent of a span is missing": _missing_parent,
    "the called machine's clock is behind": _clock_ahead,
    "work goes on after the answer": _goes_on,
}


def any_trace(chance: random.Random) -> list[Span]:
    """Calls in calls, some at the same time; drawn until one span is clearly the slowest, and it is not the first."""
    while True:
        draft = Draft(chance)
        _grow(draft, draft.page(500), "shop", 0, 500, 3)
        slow = slowest_of(draft.spans)
        if slow and slow.span.parent_id:
            return draft.spans


def _grow(draft: Draft, parent: str, caller: str, start: float, end: float, depth: int) -> None:
    for number in range(draft.chance.randint(1, 3) if depth else 0):
        began = draft.some(start, end)
        ended = draft.some(began, end)
        if ended - began > 10:
            callee = f"{caller[:1]}{depth}{number}"
            inner = draft.call(parent, caller, callee, began, ended)
            _grow(draft, inner, callee, began + 2, ended - 2, depth - 1)
