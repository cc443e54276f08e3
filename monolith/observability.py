"""What an operator sees: request ids, one log line a request, Prometheus metrics, health and readiness."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import uuid
from typing import Any

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from monolith.config import Config
from monolith.database import Database
from monolith.errors import Unavailable

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
log = logging.getLogger("shop.requests")


class JsonLines(logging.Formatter):
    """One JSON object a line, so that logs of many processes can be read together."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure_logging(level: str) -> None:
    """Send the log of this process to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


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
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._histograms: dict[str, Histogram] = {}

    def record(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        key = (method, route, status)
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters.setdefault(key, self._requests.labels(method, route, str(status)))
        histogram = self._histograms.get(route)
        if histogram is None:
            histogram = self._histograms.setdefault(route, self._seconds.labels(route))
        counter.inc()
        histogram.observe(seconds)


def init_app(app: Flask, config: Config, database: Database) -> None:
    """Give every request an id, a metric and a log line, and add the three operator routes."""
    metrics = Metrics()
    app.extensions["metrics"] = metrics

    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()
        asked = request.headers.get("X-Request-Id", "")
        g.request_id = asked if REQUEST_ID.fullmatch(asked) else uuid.uuid4().hex

    @app.after_request
    def finish(response: Response) -> Response:
        seconds = time.perf_counter() - g.started
        route = request.url_rule.rule if request.url_rule else "(none)"
        metrics.record(request.method, route, response.status_code, seconds)
        response.headers["X-Request-Id"] = g.request_id
        if log.isEnabledFor(logging.INFO):
            log.info("%s %s", request.method, request.path, extra={"facts": _facts(response, seconds)})
        return response

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """The process is alive; nothing else is asked."""
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> dict[str, str]:
        """Whether requests may be sent here: the database answers and it is not being drained."""
        if config.drain_file is not None and config.drain_file.exists():
            raise Unavailable("This process is draining; send requests elsewhere.")
        database.ping()
        return {"status": "ready"}

    @app.get("/metrics")
    def prometheus() -> Response:
        """Counters and histograms in Prometheus' text format."""
        return Response(generate_latest(metrics.registry), content_type=CONTENT_TYPE_LATEST)


def _facts(response: Response, seconds: float) -> dict[str, Any]:
    return {
        "request_id": g.request_id,
        "status": response.status_code,
        "ms": round(seconds * 1000, 1),
        "traceparent": request.headers.get("traceparent"),
    }
