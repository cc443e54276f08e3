"""One engine for a service's own database, and two ways to use it: `reading()` and `writing()`.

A writing transaction begins with BEGIN IMMEDIATE on SQLite. A deferred BEGIN takes the write lock only at the
first write and fails at once when somebody else wrote since the first read, however long the busy timeout is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from flask import current_app
from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.engine import Connection
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import QueuePool

BUSY_TIMEOUT_MS = 5000
SCHEMA_LOCK = 7_301_001  # any number that nothing else locks in the service's PostgreSQL database


class Database:
    """The engine of one process and its two kinds of session."""

    def __init__(self, url: str, base: type[DeclarativeBase], pool_size: int = 8) -> None:
        self._base = base
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        if parsed.get_backend_name() == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.engine = create_engine(
            parsed,
            poolclass=QueuePool,
            pool_size=pool_size,
            max_overflow=2,
            pool_pre_ping=not self.is_sqlite,
        )
        # A single SELECT needs no transaction around it: this saves two statements a request. On SQLite our
        # own listener leaves the BEGIN out; SQLAlchemy's AUTOCOMMIT would hand the connection back to the
        # driver's implicit transactions afterwards.
        options = {"reading": True} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._reader = self.engine.execution_options(**options)
        if self.is_sqlite:
            _prepare_sqlite(self.engine)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for queries; each statement sees the newest committed data."""
        with Session(self._reader, autoflush=False) as db:
            yield db

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session in one transaction: committed when the block ends, rolled back when it raises."""
        with Session(self.engine) as db, db.begin():
            yield db

    def create_tables(self) -> None:
        """Create the tables that are missing; replicas that start together do it one after the other."""
        with self.engine.begin() as connection:
            if not self.is_sqlite:  # SQLite's transaction is exclusive among writers already
                connection.execute(text(f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})"))
            self._base.metadata.create_all(connection)

    def ping(self) -> None:
        """Raise when the database does not answer."""
        with self._reader.connect() as connection:
            connection.execute(text("SELECT 1"))

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def get_database() -> Database:
    """The database of the service that handles this request."""
    database: Database = current_app.extensions["database"]
    return database


def reading() -> AbstractContextManager[Session]:
    """A session for queries, on the database of the service that handles this request."""
    return get_database().reading()


def writing() -> AbstractContextManager[Session]:
    """A session in one transaction, on the database of the service that handles this request."""
    return get_database().writing()


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        # The driver must not begin transactions by itself; the listener below does, and does it IMMEDIATE.
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin_immediate(connection: Connection) -> None:
        if not connection.get_execution_options().get("reading"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
