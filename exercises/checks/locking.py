"""How long one request keeps others from writing into a SQLite database."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

POLL_SECONDS = 0.02


def longest_lock(database: Path, send: Callable[[], object]) -> tuple[float, float]:
    """Send a request and try the write lock until it is answered.

    Returns the longest time in which the lock was never free, and the time of the request, both in seconds.
    """
    request = threading.Thread(target=send)
    longest, held_since, started = 0.0, None, time.monotonic()
    with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as db:
        request.start()
        while request.is_alive():
            now = time.monotonic()
            try:
                db.execute("BEGIN IMMEDIATE")
                db.execute("ROLLBACK")
                held_since = None
            except sqlite3.OperationalError:
                held_since = held_since or now
                longest = max(longest, now - held_since)
            time.sleep(POLL_SECONDS)
        request.join()
    return longest, time.monotonic() - started
