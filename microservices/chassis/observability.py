"""What an operator sees: request ids, one log line a request, Prometheus metrics, health and readiness."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from microservices.chassis import context
from microservices.chassis.config import Config
from microservices.chassis.errors import Unavailable

log = logging.getLogger("shop.requests")

REQUEST = "chassis.request"  # where a request's start and context are kept; services may look at `g.context`


class JsonLines(logging.Formatter):
    """One JSON object a line, so that logs of many processes can be read together."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "service": self._service,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        here = context.current()
        if here is not None:
            line["request_id"] = here.request_id
            line["traceparent"] = here.traceparent
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure_logging(service: str, level: str) -> None:
    """Send the log of this process to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(service))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # our own client logs what it gives up on


class Metrics:
    """Requests counted and timed by route template; labels are resolved once each, not on every request."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "http_requests", "Answered requests", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "http_request_seconds", "Time to answer, in seconds", ["route"], registry=self.registry
        )
        self._calls = Counter(
            "upstream_calls",
            "Calls that this service wanted from another one, by what came of them",
            ["upstream", "outcome"],
            registry=self.registry,
        )
        self._attempts = Counter(
            "upstream_attempts",
            "Requests sent for those calls: repeats add some, an open breaker takes some away",
            ["upstream"],
            registry=self.registry,
        )
        self._resolved: dict[tuple[object, ...], Any] = {}

    def record(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        key = (method, route, status)
        counter = self._resolved.get(key) or self._resolve(key, self._requests, method, route, str(status))
        histogram = self._resolved.get((route,)) or self._resolve((route,), self._seconds, route)
        counter.inc()
        histogram.observe(seconds)

    def called(self, upstream: str, outcome: str, attempts: int) -> None:
        """Count one call of another service: its outcome is `ok`, `refused-by-breaker` or a problem's slug."""
        key = (upstream, outcome)
        (self._resolved.get(key) or self._resolve(key, self._calls, upstream, outcome)).inc()
        key = ("attempts", upstream)
        (self._resolved.get(key) or self._resolve(key, self._attempts, upstream)).inc(attempts)

    def _resolve(self, key: tuple[object, ...], metric: Counter | Histogram, *labels: str) -> Any:
        return self._resolved.setdefault(key, metric.labels(*labels))


def init_app(app: Flask, config: Config) -> None:
    """Give every request a context, a metric and a log line, and add the three operator routes."""
    metrics = Metrics()
    app.extensions["metrics"] = metrics
    timeout = config.timeout

    @app.before_request
    def start() -> None:
        here = g.context = context.Context.begin(request.environ, timeout)
        request.environ[REQUEST] = (time.perf_counter(), here, context.enter(here))

    @app.after_request
    def finish(response: Response) -> Response:
        started, here, _ = request.environ[REQUEST]
        seconds = time.perf_counter() - started
        route = request.url_rule.rule if request.url_rule else "(none)"
        metrics.record(request.method, route, response.status_code, seconds)
        response.headers["X-Request-Id"] = here.request_id
        if log.isEnabledFor(logging.INFO):
            facts = {"status": response.status_code, "ms": round(seconds * 1000, 1)}
            log.info("%s %s", request.method, request.path, extra={"facts": facts})
        return response

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        if REQUEST in request.environ:
            context.leave(request.environ[REQUEST][2])

    _add_operator_routes(app, config, metrics)


def _add_operator_routes(app: Flask, config: Config, metrics: Metrics) -> None:
    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """The process is alive; nothing else is asked."""
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> dict[str, str]:
        """Say whether this replica can take requests: its own database answers and it is not being drained.

        Other services are not asked: one that is down would take every service that calls it down with it.
        """
        if config.drain_file is not None and config.drain_file.exists():
            raise Unavailable("This process is draining; send requests elsewhere.")
        database = app.extensions.get("database")
        if database is not None:
            database.ping()
        return {"status": "ready"}

    @app.get("/metrics")
    def prometheus() -> Response:
        """Counters and histograms in Prometheus' text format."""
        return Response(generate_latest(metrics.registry), content_type=CONTENT_TYPE_LATEST)
