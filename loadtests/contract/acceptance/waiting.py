"""Concurrent calls in tests, and waiting for effects that come later."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import TypeVar

T = TypeVar("T")
POLL_SECONDS = 0.1

between_polls: Callable[[], object] = partial(time.sleep, POLL_SECONDS)
"""What `eventually` does until it looks again. For a shop in this process: a step of each of its loops."""


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make all calls at the same time, each in its own thread. The results are in the order of the calls."""
    start = Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        start.wait(timeout=30)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def eventually(holds: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether the condition holds within `seconds`. In the split some effects of a request come later."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        between_polls()
    return True
