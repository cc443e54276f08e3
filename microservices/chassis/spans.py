"""Spans that only a service makes: work that goes on after its request ended, and a call that was never sent.

A trace ends with its request. What is done later is a trace of its own that is *linked* with the request's, as for a
reader of events: there is one reader, and it may read the events of many requests at once. A turn of background work
that finds nothing to do leaves no span. While tracing is off, all of this does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from . import tracing

TRACEPARENT = "traceparent"


def traceparent() -> str | None:
    """The current span in the form of W3C trace context, to be stored; None when it is not recorded."""
    if tracing.tracer() is None:
        return None
    from opentelemetry.trace import get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    if not get_current_span().is_recording():
        return None
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier[TRACEPARENT]


@contextmanager
def unrecorded() -> Iterator[None]:
    """The block makes no spans, and neither do the services that it calls."""
    if tracing.tracer() is None:
        yield
        return
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

    ids = int.from_bytes(os.urandom(16)), int.from_bytes(os.urandom(8))
    with use_span(NonRecordingSpan(SpanContext(*ids, is_remote=False, trace_flags=TraceFlags(0)))):
        yield


@contextmanager
def linked(name: str, traceparents: Iterable[object]) -> Iterator[None]:
    """The block is a trace of its own, linked with those of `traceparents`; what is no traceparent is left out.

    OpenTelemetry keeps the last 128 links of a span.
    """
    tracer = tracing.tracer()
    if tracer is None:
        yield
        return
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carriers = [{TRACEPARENT: each} for each in dict.fromkeys(traceparents) if isinstance(each, str)]
    found = [
        get_current_span(TraceContextTextMapPropagator().extract(carrier, Context())).get_span_context()
        for carrier in carriers
    ]
    links = [Link(each) for each in found if each.is_valid]
    with tracer.start_as_current_span(name, context=Context(), kind=SpanKind.CONSUMER, links=links):
        yield


def refused(service: str) -> None:
    """The circuit breaker refused a call: a failed span without a call below it."""
    tracer = tracing.tracer()
    if tracer is None:
        return
    from opentelemetry.trace import StatusCode

    span = tracer.start_span("not called, the breaker is open", attributes={"peer.service": service})
    span.set_status(StatusCode.ERROR)
    span.end()
