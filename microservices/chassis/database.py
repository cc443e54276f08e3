"""One engine for a service's database: `reading()` gives a connection, `writing()` one in a transaction.

Both are for statements; `reading_session()` and `writing_session()` are the same for objects. docs/databases.md says
when to use which.

A writing transaction begins with BEGIN IMMEDIATE on SQLite. A deferred BEGIN takes the write lock only at the first
write. It then fails at once if another transaction wrote since the first read; the busy timeout does not help.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, make_url, text
from sqlalchemy.orm import DeclarativeBase, Session

from . import schema
from .config import ConfigError
from .runtime import runtime

log = logging.getLogger(__name__)

LOCK_TIMEOUT_MS = 4000
"""How long a statement waits for another transaction's lock, on either database. It is less than the gateway's timeout,
so the client gets a response: the database is busy, and when to try again."""
SCHEMA_LOCK = 7_301_001  # any number that nothing else locks in the service's PostgreSQL database
NEXT_STEP = (
    "seed it anew with `microservices seed`, which replaces its data, or set SHOP_DATABASE_URL to another"
)


class Database:
    """The engine of one process, and the ways to use it."""

    def __init__(self, url: str, base: type[DeclarativeBase], threads: int = 8) -> None:
        self._base = base
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        if parsed.get_backend_name() == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.engine = create_engine(
            parsed,
            pool_size=2 * threads,
            max_overflow=2,
            pool_pre_ping=not self.is_sqlite,  # the server may have closed the session meanwhile
            connect_args={} if self.is_sqlite else {"options": f"-c lock_timeout={LOCK_TIMEOUT_MS}"},
        )
        # A single SELECT needs no transaction around it: this saves two statements a request. On SQLite there is
        # one only in `writing`, which begins it.
        options = {} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._reader = self.engine.execution_options(**options)
        self.is_suspect = False
        """Whether the tables did not fit when they were last checked; see `misfit`."""
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)

    def reading(self) -> Connection:
        """A connection for queries, to be closed; each statement sees the newest committed data."""
        return self._reader.connect()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection in one transaction: committed when the block ends, rolled back when it raises."""
        with self.engine.begin() as db:
            if self.is_sqlite:
                db.exec_driver_sql("BEGIN IMMEDIATE")
            yield db

    def reading_session(self) -> Session:
        """`reading()` with objects."""
        return Session(self._reader)

    @contextmanager
    def writing_session(self) -> Iterator[Session]:
        """`writing()` with objects: those added, changed and deleted are committed when the block ends."""
        with self.writing() as db, Session(db) as session:
            yield session
            session.flush()

    def create_tables(self) -> None:
        """Create the tables that are missing; raises ConfigError when an existing one does not fit the code.

        Replicas that start together do it one after the other.
        """
        with self.writing() as db:
            if not self.is_sqlite:  # SQLite's writers take turns anyway
                db.execute(text(f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})"))
            self._base.metadata.create_all(db)
        if misfit := self.misfit():
            self.dispose()
            raise ConfigError(misfit)

    def misfit(self) -> str:
        """Why the tables do not fit the code, in one sentence with the next step; empty when they fit."""
        with self.reading() as db:
            what = schema.misfit(db, self._base.metadata)
        self.is_suspect = bool(what)
        return f"The database {self.engine.url} {what}; {NEXT_STEP}." if what else ""

    def is_misfit(self, error: Exception) -> bool:
        """Whether a table or a column is missing. If so, it is logged, and /readyz reports it until it is fixed."""
        if not schema.is_undefined(error):
            return False
        if misfit := self.misfit():
            log.error(misfit)
        return True

    def ping(self) -> None:
        """Raise when the database does not answer."""
        with self.reading() as db:
            db.execute(text("SELECT 1"))

    def checkpoint(self) -> None:
        """Move SQLite's write-ahead log into the database file, to copy the file. PostgreSQL needs nothing."""
        if self.is_sqlite:
            with self.reading() as db:
                db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def upsert(dialect: str, table: type[DeclarativeBase]) -> Any:
    """An INSERT with ON CONFLICT: both databases write it the same, but SQLAlchemy has one class for each."""
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions by itself: `writing` does, with BEGIN IMMEDIATE. A listener for
    # SQLAlchemy's "begin" would also work, but an engine with a listener takes 18 µs more for each product.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={LOCK_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def reading() -> Connection:
    """`Database.reading()` of the application that handles this request."""
    return runtime().database.reading()


def writing() -> AbstractContextManager[Connection]:
    """`Database.writing()` of the application that handles this request."""
    return runtime().database.writing()


def reading_session() -> Session:
    """`Database.reading_session()` of the application that handles this request."""
    return runtime().database.reading_session()


def writing_session() -> AbstractContextManager[Session]:
    """`Database.writing_session()` of the application that handles this request."""
    return runtime().database.writing_session()
