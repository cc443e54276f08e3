"""Traces, when OTEL_EXPORTER_OTLP_ENDPOINT is set, as the services' chassis makes them: one process has one tracer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask

from microservices.chassis import tracing
from microservices.chassis.config import Config as ServiceConfig
from microservices.chassis.tracing import RequestId, TracingError, traced

__all__ = ["TracingError", "init_app", "traced"]


def init_app(
    app: Flask, env: Mapping[str, str], *, engine: Any, urls: Mapping[str, str], request_id: RequestId
) -> None:
    """As in the chassis; the services whose addresses are in `env` have names besides those in `urls`."""
    known = {**ServiceConfig.from_env("monolith", env).urls, **urls}
    tracing.init_app(app, env, engine=engine, urls=known, request_id=request_id)
