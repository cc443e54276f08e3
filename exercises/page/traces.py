"""Traces of both reference shops: the newest of each kind of request, the monolith's beside the microservices'."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from exercises.errors import ExerciseError
from microservices.tracing.span import Span
from microservices.tracing.store import FILE_NAME, TraceStore
from microservices.tracing.view import CONVERTER, MILLI, view

GATEWAY, MONOLITH, SPLIT = "gateway", "monolith", "microservices"
LOOKED_AT = 300
"""So many of the newest requests are looked at: ten seconds of a busy page, in which somebody buys in both shops."""


@dataclass(frozen=True, slots=True)
class Traced:
    """One request."""

    request_id: str
    milliseconds: float
    spans: int


@dataclass(frozen=True, slots=True)
class Kind:
    """A route, and the newest request to it by shop."""

    name: str
    newest: dict[str, Traced] = field(default_factory=dict)


def kinds(home: Path) -> list[Kind]:
    """Those of which both shops have one first, then by name; empty before any trace was received."""
    if not (home / FILE_NAME).exists():
        return []
    found: dict[str, Kind] = {}
    with closing(TraceStore(home / FILE_NAME)) as store:
        for request_id, _, nanoseconds, count in store.newest_requests(LOOKED_AT):
            served = list(_served(store.spans(store.traces_of(request_id)), request_id))
            if not served:
                continue  # refused at the gateway, or not yet received
            name, service = served[0]
            kind = found.setdefault(name, Kind(name))
            shop = MONOLITH if service == MONOLITH else SPLIT
            kind.newest.setdefault(shop, Traced(request_id, nanoseconds / MILLI, count))
    return sorted(found.values(), key=lambda kind: (-len(kind.newest), kind.name))


def page(home: Path, request_ids: Sequence[str]) -> str:
    """The waterfall, the critical path and the service map of each request, beside each other, as HTML.

    ExerciseError when one of them has no trace.
    """
    from microservices.tracing.page import html

    views = []
    if (home / FILE_NAME).exists():
        with closing(TraceStore(home / FILE_NAME)) as store:
            views = [view(each, store.spans(store.traces_of(each))) for each in request_ids]
    shown = [each for each in views if each is not None]
    if not shown or len(shown) < len(request_ids):
        raise ExerciseError("The trace of this request is not there any more; the newest ones are listed.")
    return html(shown)


def _served(spans: Sequence[Span], request_id: str) -> Iterator[tuple[str, str]]:
    """Route and service of each time that a shop behind the gateway served the request, by their start."""
    for span in spans:
        if span.kind == "server" and span.service != GATEWAY and span.request_id == request_id:
            yield CONVERTER.sub(r"{\1}", span.name), span.service
