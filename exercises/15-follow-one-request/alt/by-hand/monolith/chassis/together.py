"""Two things at once within one request: one in a thread of a pool, the other in the request's own thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from flask import current_app, request

from microservices.chassis import context

from .tracing import continued, current_span

P = ParamSpec("P")
T = TypeVar("T")

_POOL = ThreadPoolExecutor(max_workers=8, thread_name_prefix="together")


def begin(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> Future[T]:
    """Call `function` in another thread, which knows the request too; `result()` waits for what it returns."""
    # A copy, because Flask empties the environ of a request that has ended.
    here = current_app.request_context(request.environ.copy())
    known, span = context.current(), current_span()

    def work() -> T:
        with here, continued(span):
            entered = context.enter(known) if known else None
            try:
                return function(*arguments, **options)
            finally:
                if entered:
                    context.leave(entered)

    return _POOL.submit(work)
