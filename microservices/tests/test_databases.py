"""One PostgreSQL database and role for each service: made, kept apart, dropped."""

from __future__ import annotations

import random
import stat
from contextlib import closing
from functools import partial

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from microservices.chassis.database import Database
from microservices.cli import cli
from microservices.launcher import databases as module
from microservices.launcher.databases import DatabasesError, Server, create, drop
from microservices.orders.models import Base
from microservices.tests import postgresql
from microservices.topology import SPLIT, Topology
from monolith.chassis.database import Database as MonolithDatabase

NOBODY_LISTENS = "postgresql://postgres@127.0.0.1:9"
KEEPING_DATA = [service.name for service in SPLIT.services if service.has_database]
TWO = Topology("two", SPLIT.services[:2])


@pytest.fixture(scope="module")
def made():
    with postgresql.databases() as made:
        yield made


def address(pattern, role, database):
    """The pattern's URL with the role of one service and the database of another."""
    return pattern.replace("{service}", role, 1).replace("{service}", database, 1)


@pytest.mark.parametrize("other", [name for name in KEEPING_DATA if name != "cart"])
def test_a_service_is_not_let_into_the_database_of_another(made, other):
    _, pattern = made
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(address(pattern, "cart", other))


def test_a_service_keeps_its_tables_in_its_own_database(made):
    _, pattern = made
    database = Database(address(pattern, "orders", "orders"), Base)
    database.create_tables()
    database.dispose()
    with closing(psycopg.connect(address(pattern, "orders", "orders"))) as own:
        assert own.execute("SELECT count(*) FROM orders").fetchone() == (0,)


@pytest.mark.parametrize("open_database", [MonolithDatabase, partial(Database, base=Base)])
def test_a_session_that_the_server_ended_is_replaced_before_it_is_used(made, open_database):
    server, pattern = made
    database = open_database(address(pattern, "orders", "orders"))
    ways = (database.reading, database.writing, database.reading_session, database.writing_session)
    for _ in range(2):
        for way in ways:
            with way() as db:
                assert db.execute(text("SELECT 1")).scalar() == 1
        postgresql.end_sessions(server)
    database.dispose()


def test_a_service_cannot_read_the_table_of_another_even_if_it_is_let_into_the_database(made):
    server, pattern = made
    with closing(psycopg.connect(address(pattern, "payments", "payments"), autocommit=True)) as payments:
        payments.execute("CREATE TABLE secrets (amount int)")
    cart, theirs = server.name("cart"), server.name("payments")
    with closing(psycopg.connect(server.url, autocommit=True)) as admin:
        admin.execute(f'GRANT CONNECT ON DATABASE "{theirs}" TO "{cart}"')
        try:
            with (
                closing(psycopg.connect(address(pattern, "cart", "payments"))) as stranger,
                pytest.raises(psycopg.errors.InsufficientPrivilege),
            ):
                stranger.execute("SELECT * FROM secrets")
        finally:
            admin.execute(f'REVOKE CONNECT ON DATABASE "{theirs}" FROM "{cart}"')


def test_a_role_may_make_neither_databases_nor_roles(made):
    _, pattern = made
    with closing(psycopg.connect(address(pattern, "cart", "cart"), autocommit=True)) as cart:
        for statement in ("CREATE DATABASE mine", "CREATE ROLE mine"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                cart.execute(statement)


def test_making_them_again_keeps_what_they_hold(made, tmp_path):
    server, pattern = made
    with closing(psycopg.connect(address(pattern, "catalog", "catalog"), autocommit=True)) as catalog:
        catalog.execute("CREATE TABLE kept (id int)")
    assert create(server, tmp_path) == pattern
    with closing(psycopg.connect(address(pattern, "catalog", "catalog"))) as catalog:
        assert catalog.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_where_the_server_asks_for_passwords_each_service_gets_a_file_of_its_own(made, tmp_path, monkeypatch):
    server, _ = made
    monkeypatch.setattr(module, "_lets_in", lambda *_: False)
    pattern = create(server, tmp_path / "passwords")
    passwords = set()
    for name in KEEPING_DATA:
        file = tmp_path / "passwords" / f"{name}.pgpass"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        host, port, database, role, password = file.read_text().strip().split(":")
        assert (host, port, database, role) == ("*", "*", server.name(name), server.name(name))
        passwords.add(password)
        psycopg.connect(pattern.replace("{service}", name)).close()
    assert len(passwords) == len(KEEPING_DATA)


def test_dropping_leaves_nothing_and_may_be_repeated(tmp_path):
    server = postgresql.reachable()
    create(server, tmp_path, TWO)
    for _ in range(2):
        drop(server, TWO)
    with closing(psycopg.connect(server.url)) as admin:
        left = "SELECT datname FROM pg_database WHERE datname LIKE %(p)s UNION SELECT rolname FROM pg_roles"
        found = admin.execute(f"{left} WHERE rolname LIKE %(p)s", {"p": f"{server.prefix}%"})
        assert found.fetchall() == []


def test_databases_in_use_are_not_dropped_and_it_is_said_what_to_stop(made):
    server, pattern = made
    with (
        closing(psycopg.connect(address(pattern, "accounts", "accounts"))),
        pytest.raises(DatabasesError, match=r"in use .*; stop the shop first: microservices down"),
    ):
        drop(server)


def test_missing_rights_are_said(made, tmp_path):
    server, pattern = made
    with pytest.raises(DatabasesError, match="take one with CREATEDB and CREATEROLE"):
        create(Server(address(pattern, "cart", "cart"), f"{server.prefix}x"), tmp_path)


def test_a_server_that_is_not_there_is_named_with_what_to_do():
    done = CliRunner().invoke(cli, ["databases", "drop", "--url", NOBODY_LISTENS])
    assert isinstance(done.exception, DatabasesError)
    assert str(done.exception).startswith("PostgreSQL at 127.0.0.1:9 does not let us in")
    assert str(done.exception).endswith("start it, or correct --url.")


def test_what_is_no_address_is_said():
    with pytest.raises(DatabasesError, match="--url is no PostgreSQL address"):
        drop(Server("nonsense"))


def test_the_pattern_is_what_the_shop_needs():
    server = Server("postgresql://boss:hidden@db.example:5433/postgres")
    assert server.pattern() == "postgresql://shop_{service}@db.example:5433/shop_{service}"
    assert (
        Server("postgresql://postgres@[::1]", "a").pattern()
        == "postgresql://a_{service}@[::1]:5432/a_{service}"
    )


def test_a_worker_of_the_tests_that_finds_no_connections_left_waits_for_another(monkeypatch):
    url = postgresql.reachable().url
    # More than any server has, so that there is one place.
    monkeypatch.setattr(postgresql, "CONNECTIONS", 10_000)
    monkeypatch.setattr(postgresql, "PLACES", random.randrange(2**31))
    with psycopg.connect(url, autocommit=True) as other:
        with postgresql.Place().taken():
            assert not postgresql.is_place_left(other)
        assert postgresql.is_place_left(other)
