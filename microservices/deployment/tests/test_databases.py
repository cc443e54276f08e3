"""The SQL of the one-off container, on a real server."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from microservices.deployment import databases, facts
from microservices.launcher.databases import Server, drop
from microservices.tests.postgresql import URL, server_or_skip
from microservices.topology import Service, Topology

SHOP = Topology("two", (Service("left", ()), Service("right", ()), Service("none", (), has_database=False)))
pytestmark = pytest.mark.processes


@pytest.fixture
def server() -> Iterator[Server]:
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed")
    server = server_or_skip()
    yield server
    drop(server, SHOP)


def run(server: Server, password: str) -> None:
    script = databases.sql(SHOP).replace("shop_", f"{server.prefix}_")
    passwords = {facts.password_variable(service): password for service in SHOP.with_database}
    done = subprocess.run(
        ["psql", "--quiet", "--set", "ON_ERROR_STOP=1", URL],
        input=script,
        env={**os.environ, **passwords},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_each_service_owns_a_database_and_is_let_into_no_other(server: Server) -> None:
    run(server, "it's a secret")
    left, right = server.name("left"), server.name("right")
    with psycopg.connect(f"postgresql://{left}@{server.address}/{left}") as own:
        own.execute("CREATE TABLE mine (x int)")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(f"postgresql://{left}@{server.address}/{right}")


def test_a_second_run_keeps_the_data_and_sets_the_new_password(server: Server) -> None:
    run(server, "first")
    left = server.name("left")
    with psycopg.connect(f"postgresql://{left}@{server.address}/{left}") as own:
        own.execute("CREATE TABLE mine (x int)")
    with psycopg.connect(URL) as admin:
        query = "SELECT rolpassword FROM pg_authid WHERE rolname = %s"
        before = admin.execute(query, [left]).fetchone()
        run(server, "second")
        admin.rollback()
        assert admin.execute(query, [left]).fetchone() != before
    with psycopg.connect(f"postgresql://{left}@{server.address}/{left}") as own:
        assert own.execute("SELECT count(*) FROM mine").fetchone() == (0,)
