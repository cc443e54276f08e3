"""For tests on PostgreSQL: where the server is, and names that no other run of the tests uses."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from microservices.databases import Server, create, drop
from microservices.launcher import default_home
from microservices.topology import SPLIT, Topology

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
    try:
        yield server, create(server, default_home() / "postgresql", topology)
    finally:
        end_sessions(server)
        drop(server, topology)


def end_sessions(server: Server) -> None:
    """End all sessions in the server's databases of our prefix, as a restart of the server would.

    Also what a failed test may have left open, or the databases would stay behind.
    """
    ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE starts_with(datname, %s)"
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(ours, [server.prefix])
