"""The lock between serving and seeding: serving processes share it, seeding needs it alone to replace the data.

For SQLite it is a lock on a file beside the database, which the system releases when the process ends, also by a kill.
PostgreSQL knows its sessions itself.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sqlalchemy import create_engine, make_url, text

from .config import ConfigError

OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
_held: list[IO[str]] = []  # keeps the files open: a closed file loses its lock


def shared(database_url: str) -> IO[str] | None:
    """Lock the database for serving, until this process ends or the returned file is closed.

    Waits while it is being seeded. None when there is nothing to lock.
    """
    file = _lock_file(database_url)
    if file is None:
        return None
    held = file.open("w")
    fcntl.flock(held, fcntl.LOCK_SH)
    _held.append(held)
    return held


@contextmanager
def exclusive(database_url: str) -> Iterator[None]:
    """Lock the database for seeding; raises ConfigError while it is being served."""
    file = _lock_file(database_url)
    if file is None:
        _refuse_beside_others(database_url)
        yield
        return
    with file.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"The shop is being served from {make_url(database_url).database}; stop it, and seed again."
            ) from None
        yield


def _lock_file(database_url: str) -> Path | None:
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    file = Path(f"{url.database}.lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def _refuse_beside_others(database_url: str) -> None:
    url = make_url(database_url)
    if url.get_backend_name() != "postgresql":
        return
    engine = create_engine(url.set(drivername="postgresql+psycopg"))
    with engine.connect() as db:
        others: int = db.execute(OTHERS).scalar_one()
    engine.dispose()
    if others:
        raise ConfigError(
            f"The database {url.database} is in use by others ({others} open sessions);"
            " stop the shop that is served from it, and seed again."
        )
