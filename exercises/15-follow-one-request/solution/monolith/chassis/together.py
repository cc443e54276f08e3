"""Two things at once within one request: one in a thread of a pool, the other in the request's own thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_POOL = ThreadPoolExecutor(max_workers=8, thread_name_prefix="together")


def begin(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> Future[T]:
    """Call `function` in another thread, with the context of this one; `result()` waits for what it returns."""
    return _POOL.submit(copy_context().run, function, *arguments, **options)
