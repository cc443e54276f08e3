"""Holds a lock against all writers of a database, from a connection outside the shop."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
from sqlalchemy import URL

TABLE = {"cart": "cart_lines", "orders": "orders", "inventory": "stock", "payments": "payments"}
"""By service, the table that is locked on PostgreSQL; SQLite locks the whole database."""
MAX_SECONDS = 20.0


@contextmanager
def locked(url: URL, service: str, seconds: float | None = None) -> Iterator[None]:
    """Hold the lock for so many seconds, or until the block ends; returns once it is released.

    After at most MAX_SECONDS it is released in any case, so that a shop that would wait for ever fails its test instead
    of blocking it.
    """
    connection: Any
    if url.get_backend_name() == "sqlite":
        connection = sqlite3.connect(str(url.database), isolation_level=None, check_same_thread=False)
        connection.execute("BEGIN IMMEDIATE")
    else:
        connection = psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
        connection.execute(f"LOCK TABLE {TABLE[service]} IN EXCLUSIVE MODE")
    with closing(connection):
        timer = threading.Timer(seconds or MAX_SECONDS, connection.rollback)
        timer.start()
        yield
        if seconds is None:
            timer.cancel()
        timer.join()
