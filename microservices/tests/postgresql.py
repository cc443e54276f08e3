"""For tests on PostgreSQL: the server, database names that no other test run uses, and a share of its connections."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from microservices.launcher import default_home
from microservices.launcher.databases import Server, create, drop
from microservices.topology import MONOLITH, SPLIT, Topology

CONNECTIONS = 50
"""One share of the server's connections: enough for the shops of one test process."""
LOCK_KEY = 20261123
"""The first key of the advisory locks, one for each share."""
POLL_SECONDS = 0.2

TOPOLOGIES = {"split": SPLIT, "monolith": MONOLITH}
URL = os.environ.get("SHOP_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")


def server_or_skip() -> Server:
    """The server with a new prefix for names; skips the test when there is no server."""
    try:
        psycopg.connect(URL, connect_timeout=2).close()
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0]
        pytest.skip(f"no PostgreSQL at SHOP_TEST_POSTGRES ({URL}): {reason}")
    return Server(URL, f"shoptest_{uuid.uuid4().hex[:8]}")


@contextmanager
def databases(topology: Topology = SPLIT) -> Iterator[tuple[Server, str]]:
    """The server, and the URL pattern of new databases, which are dropped after the block."""
    server = server_or_skip()
    with _share.held():
        try:
            yield server, create(server, default_home() / "postgresql", topology)
        finally:
            end_sessions(server)
            drop(server, topology)


@contextmanager
def pattern_for(name: str, backend: str) -> Iterator[str | None]:
    """The URL pattern of new databases for the shop `split` or `monolith`; None when `backend` is "sqlite"."""
    if backend == "sqlite":
        yield None
        return
    with databases(TOPOLOGIES[name]) as (_, pattern):
        yield pattern


class ConnectionShare:
    """This process's share of the server's connections. A worker of the tests waits until a share is free.

    The lock ends with its database session, so a killed process gives its share back too.
    """

    def __init__(self) -> None:
        self._holders = 0
        self._session: psycopg.Connection | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the share while the block runs. Nested blocks hold the same share."""
        if self._session is None:
            session = psycopg.connect(URL, autocommit=True)
            while not try_lock(session):
                time.sleep(POLL_SECONDS)
            self._session = session
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            if not self._holders:
                self._session.close()
                self._session = None


def try_lock(session: psycopg.Connection) -> bool:
    """Lock one of the shares for as long as the session lasts; returns False when none is free."""
    count = "SELECT current_setting('max_connections')::int / %s"
    shares = session.execute(count, [CONNECTIONS]).fetchall()[0][0]
    lock = "SELECT pg_try_advisory_lock(%s, %s)"
    return any(session.execute(lock, [LOCK_KEY, number]).fetchall()[0][0] for number in range(max(1, shares)))


_share = ConnectionShare()


def end_sessions(server: Server) -> None:
    """End all sessions in the databases with our prefix, as a restart of the server would.

    This includes sessions that a failed test left open; with them the databases could not be dropped.
    """
    ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE starts_with(datname, %s)"
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(ours, [server.prefix])
