"""Two things at once within one request: one in a thread of a pool, the other in the request's own thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from flask import current_app, request

P = ParamSpec("P")
T = TypeVar("T")

_POOL = ThreadPoolExecutor(max_workers=8, thread_name_prefix="together")


def begin(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> Future[T]:
    """Call `function` in another thread, which knows the request too; `result()` waits for what it returns."""
    # A copy, because Flask empties the environ of a request that has ended.
    here = current_app.request_context(request.environ.copy())

    def work() -> T:
        with here:
            return function(*arguments, **options)

    return _POOL.submit(work)
