"""Traces, when OTEL_EXPORTER_OTLP_ENDPOINT is set, as the services' chassis makes them: one process has one tracer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flask import Flask

from microservices.chassis import tracing
from microservices.chassis.config import Config as ServiceConfig
from microservices.chassis.tracing import RequestId, TracingError, traced

__all__ = ["TracingError", "continued", "current_span", "init_app", "traced"]


def init_app(
    app: Flask, env: Mapping[str, str], *, engine: Any, urls: Mapping[str, str], request_id: RequestId
) -> None:
    """As in the chassis; the services whose addresses are in `env` have names besides those in `urls`."""
    known = {**ServiceConfig.from_env("monolith", env).urls, **urls}
    tracing.init_app(app, env, engine=engine, urls=known, request_id=request_id)


def current_span() -> Any:
    """The span of this thread; None while tracing is off."""
    if tracing.tracer() is None:
        return None
    from opentelemetry.trace import get_current_span

    return get_current_span()


@contextmanager
def continued(span: Any) -> Iterator[None]:
    """The block goes on in `span`, which may belong to another thread."""
    if span is None:
        yield
        return
    from opentelemetry.trace import use_span

    with use_span(span):
        yield
