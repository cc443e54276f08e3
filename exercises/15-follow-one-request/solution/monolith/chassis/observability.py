"""What an operator sees: request ids, one log line a request, Prometheus metrics, health and readiness."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, has_app_context, request
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from microservices.chassis import context, spans
from microservices.chassis.observability import Metrics

from .errors import Unavailable
from .runtime import runtime

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ENVIRON_KEY = "shop.request_id"
TIMEOUT_SECONDS = 3.0
"""What a request may spend on calls in all: the gateway waits as long for the answer."""
log = logging.getLogger("shop.requests")


def request_id() -> str:
    """The id of the request that is being handled."""
    known: str = request.environ[ENVIRON_KEY]
    return known


class JsonLines(logging.Formatter):
    """One JSON object a line, so that logs of many processes can be read together."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        here = context.current()
        if here is not None:
            line["request_id"] = here.request_id
            line["traceparent"] = spans.traceparent() or here.traceparent
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure_logging(level: str) -> None:
    """Send the log of this process to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class Observed:
    """Middleware around the application: the same with Flask's hooks costs 20 µs more for each request."""

    def __init__(self, inner: WSGIApplication, metrics: Metrics) -> None:
        self._inner, self._metrics = inner, metrics

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        started = time.perf_counter()
        environ.pop("HTTP_UPGRADE", None)  # Werkzeug would look for a route for WebSockets
        here = context.Context.begin(environ, TIMEOUT_SECONDS)
        environ[ENVIRON_KEY] = here.request_id

        def respond(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
            headers.append(("X-Request-Id", here.request_id))
            self._record(environ, int(status[:3]), time.perf_counter() - started)
            return start_response(status, headers, *error)

        entered = context.enter(here)
        try:
            return self._inner(environ, respond)
        finally:
            context.leave(entered)

    def _record(self, environ: WSGIEnvironment, status: int, seconds: float) -> None:
        method, rule = environ["REQUEST_METHOD"], environ["werkzeug.request"].url_rule
        self._metrics.record(method, rule.rule if rule else "(none)", status, seconds)
        if log.isEnabledFor(logging.INFO):
            facts = {"status": status, "ms": round(seconds * 1000, 1)}
            log.info("%s %s", method, environ["PATH_INFO"], extra={"facts": facts})


def called(upstream: str, outcome: str, attempts: int) -> None:
    """Count one call of another service; outside of an application nobody counts."""
    if has_app_context():
        runtime().metrics.called(upstream, outcome, attempts)


def init_app(app: Flask) -> None:
    """Give every request an id, a metric and a log line, and add the three operator routes."""
    shop = runtime(app)
    app.wsgi_app = Observed(app.wsgi_app, shop.metrics)  # type: ignore[method-assign]  # Flask's own idiom

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """The process is alive; nothing else is checked."""
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> dict[str, str]:
        """Whether requests may be sent here: the database answers and it is not being drained."""
        drain_file = shop.config.drain_file
        if drain_file is not None and drain_file.exists():
            raise Unavailable("This process is draining; send requests elsewhere.")
        shop.database.ping()
        if shop.database.is_suspect and (misfit := shop.database.misfit()):
            raise Unavailable(misfit)
        return {"status": "ready"}

    @app.get("/metrics")
    def prometheus() -> Response:
        """Counters and histograms in Prometheus' text format."""
        return Response(generate_latest(shop.metrics.registry), content_type=CONTENT_TYPE_LATEST)
