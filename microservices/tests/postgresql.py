"""For tests on PostgreSQL: where it is, names that no other run of the tests uses, and a share of its connections."""

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
from microservices.topology import SPLIT, Topology

CONNECTIONS = 50
"""Of the server's, enough for the shops of one test process."""
PLACES = 20261123
"""The first key of the advisory locks that stand for them."""
POLL_SECONDS = 0.2

URL = os.environ.get("SHOP_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")


def reachable() -> Server:
    """The server, with a prefix of its own; skips the test when nobody answers there."""
    try:
        psycopg.connect(URL, connect_timeout=2).close()
    except psycopg.Error as error:
        first = str(error).strip().splitlines()[0]
        pytest.skip(f"no PostgreSQL at SHOP_TEST_POSTGRES ({URL}): {first}")
    return Server(URL, f"shoptest_{uuid.uuid4().hex[:8]}")


@contextmanager
def databases(topology: Topology = SPLIT) -> Iterator[tuple[Server, str]]:
    """The server and the pattern of fresh databases, dropped afterwards."""
    server = reachable()
    with _place.taken():
        try:
            yield server, create(server, default_home() / "postgresql", topology)
        finally:
            end_sessions(server)
            drop(server, topology)


class Place:
    """This process's share of the server's connections: workers that find none left wait for one another.

    The lock ends with its session, so a process that is killed leaves its place too.
    """

    def __init__(self) -> None:
        self._holders = 0
        self._session: psycopg.Connection | None = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have the place while the block runs; a block in it shares it."""
        if self._session is None:
            session = psycopg.connect(URL, autocommit=True)
            while not is_place_left(session):
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


def is_place_left(session: psycopg.Connection) -> bool:
    """Take one of the places for as long as the session lasts; False when there is none."""
    count = "SELECT current_setting('max_connections')::int / %s"
    most = session.execute(count, [CONNECTIONS]).fetchall()[0][0]
    lock = "SELECT pg_try_advisory_lock(%s, %s)"
    return any(session.execute(lock, [PLACES, number]).fetchall()[0][0] for number in range(max(1, most)))


_place = Place()


def end_sessions(server: Server) -> None:
    """End all sessions in the server's databases of our prefix, as a restart of the server would.

    Also what a failed test may have left open, or the databases would stay behind.
    """
    ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE starts_with(datname, %s)"
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(ours, [server.prefix])
