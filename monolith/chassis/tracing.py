"""Traces by OpenTelemetry, when OTEL_EXPORTER_OTLP_ENDPOINT is set; otherwise nothing of it is imported.

Requests served, calls made, statements, and the steps marked with `traced` become spans, exported as OTLP over HTTP. A
trace goes on in the service that is called, by W3C trace context. The same file in both shops.
"""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from flask import Flask

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
REQUEST_ID = "shop.request_id"
EXPORT_SECONDS = 0.5
"""How long a finished span may wait to be exported with others."""
NOT_TRACED = "healthz,readyz,metrics"

P = ParamSpec("P")
T = TypeVar("T")
RequestId = Callable[[Mapping[str, Any]], str]

_tracer: Any = None


class TracingError(Exception):
    """Tracing was asked for and cannot be had. The text is one sentence for people."""


def init_app(
    app: Flask, env: Mapping[str, str], *, engine: Any, urls: Mapping[str, str], request_id: RequestId
) -> None:
    """Trace the requests of `app`, its statements on `engine`, and its calls; `urls` names the services called.

    Call it before what else wraps the application, so that `request_id` finds the id in the WSGI environment. Raises
    TracingError when the packages are missing.
    """
    endpoint = env.get(ENDPOINT)
    if not endpoint:
        return
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.flask import FlaskInstrumentor
        from opentelemetry.instrumentation.requests import RequestsInstrumentor
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise TracingError(
            f"{ENDPOINT} is set, but {error.name} is not installed; run `make extras`, or unset it."
        ) from error
    global _tracer  # noqa: PLW0603 -- one process has one tracer
    instance = f"{socket.gethostname()}-{os.getpid()}"
    provider = TracerProvider(
        resource=Resource.create({"service.name": app.name, "service.instance.id": instance})
    )
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=EXPORT_SECONDS * 1000))
    _tracer = trace.get_tracer("shop", tracer_provider=provider)
    FlaskInstrumentor().instrument_app(  # type: ignore[no-untyped-call]
        app,
        tracer_provider=provider,
        excluded_urls=NOT_TRACED,
        request_hook=lambda span, environ: span.set_attribute(REQUEST_ID, request_id(environ)),
    )
    RequestsInstrumentor().instrument(
        tracer_provider=provider,
        excluded_urls=exporter._endpoint,  # noqa: SLF001 -- the exporter calls by requests too
        request_hook=lambda span, request: _name_callee(span, request.url or "", urls),
    )
    if engine is not None:
        _trace_statements(engine)


def tracer() -> Any:
    """OpenTelemetry's tracer; None while tracing is off."""
    return _tracer


def traced(name: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates a function that is one step of the work: it becomes a span while tracing is on.

    With tracing off it is the function itself. So this one setting is read at import.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        if not os.environ.get(ENDPOINT):
            return function

        @functools.wraps(function)
        def measured(*arguments: P.args, **options: P.kwargs) -> T:
            if _tracer is None:
                return function(*arguments, **options)
            with _tracer.start_as_current_span(name):
                return function(*arguments, **options)

        return measured

    return decorate


def _trace_statements(engine: Any) -> None:
    """A span for each statement: OpenTelemetry's own package for SQLAlchemy does not know version 2.1 yet.

    Only below another span: the statements of probes and of idle background work belong to no request.
    """
    from opentelemetry.trace import SpanKind, Status, StatusCode, get_current_span
    from sqlalchemy import event

    def begin(
        _connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        context.shop_span = None
        if not get_current_span().get_span_context().is_valid:
            return
        facts = {"db.system.name": engine.dialect.name, "db.query.text": statement}
        context.shop_span = _tracer.start_span(
            statement.split(maxsplit=1)[0], kind=SpanKind.CLIENT, attributes=facts
        )

    def end(
        _connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        if context.shop_span is not None:
            context.shop_span.end()

    def fail(error: Any) -> None:
        span = getattr(error.execution_context, "shop_span", None)
        if span is not None:
            span.set_status(Status(StatusCode.ERROR, str(error.original_exception)))
            span.end()

    event.listen(engine, "before_cursor_execute", begin)
    event.listen(engine, "after_cursor_execute", end)
    event.listen(engine, "handle_error", fail)


def _name_callee(span: Any, url: str, urls: Mapping[str, str]) -> None:
    for name, address in urls.items():
        if url.startswith(f"{address}/"):
            span.set_attribute("peer.service", name)
