"""The traces of a shop under test: received here, and read while they arrive. Needs OpenTelemetry (`make extras`)."""

from __future__ import annotations

import atexit
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path

from exercises.checks.standin import scratch
from microservices.tracing.span import Span

ARRIVE_SECONDS, BUSY_ARRIVE_SECONDS = 4.0, 12.0
"""A span is sent up to half a second after it ended, later on a busy machine."""
POLL_SECONDS, SETTLE_SECONDS = 0.05, 0.6


@cache
def receiver_url() -> str:
    """The address of a receiver that runs until this process ends; ImportError when tracing is not installed."""
    import opentelemetry.exporter.otlp.proto.http
    import opentelemetry.instrumentation.flask
    import opentelemetry.instrumentation.requests  # noqa: F401 -- whether the shop could send traces

    from microservices.tracing.receiver import Receiver

    receiver = Receiver(_file())
    receiver.__enter__()
    atexit.register(receiver.__exit__, None, None, None)
    return receiver.url


def arrived(
    began: int, enough: Callable[[list[Span]], bool], is_busy: Callable[[], bool], *, settle: bool = False
) -> list[Span]:
    """The spans begun since `began` (nanoseconds since the epoch), when they are enough, or after some seconds.

    With `settle`, not before a moment has passed in which none arrived.
    """
    asked, before = time.monotonic(), -1
    while True:
        spans = _begun_since(began)
        settled = not settle or len(spans) == before
        patience = BUSY_ARRIVE_SECONDS if is_busy() else ARRIVE_SECONDS
        if (settled and enough(spans)) or time.monotonic() > asked + patience:
            return spans
        before = len(spans)
        time.sleep(SETTLE_SECONDS if settle else POLL_SECONDS)


def _begun_since(began: int) -> list[Span]:
    from microservices.tracing.store import TraceStore

    with closing(sqlite3.connect(_file(), timeout=10)) as db:
        found = db.execute("SELECT DISTINCT trace_id FROM spans WHERE start >= ?", (began,)).fetchall()
    with closing(TraceStore(_file())) as store:
        return [span for span in store.spans(trace for (trace,) in found) if span.start >= began]


@cache
def _file() -> Path:
    return scratch() / f"traces-{os.getpid()}.sqlite3"
