"""One PostgreSQL database and role for each service: created, isolated, dropped."""

from __future__ import annotations

import random
import stat
from contextlib import closing
from functools import partial

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import conninfo
from sqlalchemy import make_url, text

from microservices.chassis.database import Database
from microservices.cli import cli
from microservices.launcher import databases as module
from microservices.launcher.databases import DatabasesError, Server, create, drop
from microservices.orders.models import Base
from microservices.tests import postgresql
from microservices.tests.conftest import wait_until
from microservices.topology import SPLIT, Topology
from monolith.chassis.database import Database as MonolithDatabase

UNREACHABLE = "postgresql://postgres@127.0.0.1:9"
WITH_DATABASE = [service.name for service in SPLIT.services if service.has_database]
TWO = Topology("two", SPLIT.services[:2])


@pytest.fixture(scope="module")
def made():
    with postgresql.databases() as made:
        yield made


def address(pattern, role, database):
    """The pattern's URL with the role of one service and the database of another."""
    return pattern.replace("{service}", role, 1).replace("{service}", database, 1)


@pytest.mark.parametrize("other", [name for name in WITH_DATABASE if name != "cart"])
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


def test_a_role_can_create_neither_databases_nor_roles(made):
    _, pattern = made
    with closing(psycopg.connect(address(pattern, "cart", "cart"), autocommit=True)) as cart:
        for statement in ("CREATE DATABASE mine", "CREATE ROLE mine"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                cart.execute(statement)


def test_creating_them_again_keeps_their_data(made, tmp_path):
    server, pattern = made
    with closing(psycopg.connect(address(pattern, "catalog", "catalog"), autocommit=True)) as catalog:
        catalog.execute("CREATE TABLE kept (id int)")
    assert create(server, tmp_path) == pattern
    with closing(psycopg.connect(address(pattern, "catalog", "catalog"))) as catalog:
        assert catalog.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_where_the_server_asks_for_passwords_each_service_gets_its_own_password_file(
    made, tmp_path, monkeypatch
):
    server, _ = made
    monkeypatch.setattr(module, "_trusts", lambda *_: False)
    pattern = create(server, tmp_path / "passwords")
    passwords = set()
    for name in WITH_DATABASE:
        file = tmp_path / "passwords" / f"{name}.pgpass"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        host, port, database, role, password = file.read_text().strip().split(":")
        assert (host, port, database, role) == ("*", "*", server.name(name), server.name(name))
        passwords.add(password)
        psycopg.connect(pattern.replace("{service}", name)).close()
    assert len(passwords) == len(WITH_DATABASE)


def test_dropping_leaves_nothing_and_may_be_repeated(tmp_path):
    server = postgresql.server_or_skip()
    create(server, tmp_path, TWO)
    for _ in range(2):
        drop(server, TWO)
    with closing(psycopg.connect(server.url)) as admin:
        left = "SELECT datname FROM pg_database WHERE datname LIKE %(p)s UNION SELECT rolname FROM pg_roles"
        found = admin.execute(f"{left} WHERE rolname LIKE %(p)s", {"p": f"{server.prefix}%"})
        assert found.fetchall() == []


def test_databases_in_use_are_not_dropped_and_the_error_says_what_to_stop(made):
    server, pattern = made
    with (
        closing(psycopg.connect(address(pattern, "accounts", "accounts"))),
        pytest.raises(DatabasesError, match=r"in use .*; stop the shop first: microservices down"),
    ):
        drop(server)


def test_missing_rights_are_an_error_that_names_them(made, tmp_path):
    server, pattern = made
    with pytest.raises(DatabasesError, match="use one with CREATEDB and CREATEROLE"):
        create(Server(address(pattern, "cart", "cart"), f"{server.prefix}x"), tmp_path)


def test_an_unreachable_server_is_an_error_with_its_address_and_the_next_step():
    done = CliRunner().invoke(cli, ["databases", "drop", "--url", UNREACHABLE])
    assert isinstance(done.exception, DatabasesError)
    assert str(done.exception).startswith("PostgreSQL at 127.0.0.1:9 refuses the connection")
    assert str(done.exception).endswith("start it, or correct --url.")


def test_a_url_that_is_not_for_postgresql_is_an_error():
    with pytest.raises(DatabasesError, match="--url is not a PostgreSQL address"):
        drop(Server("nonsense"))


def test_the_pattern_has_a_place_for_the_service_and_no_password():
    server = Server("postgresql://boss:hidden@db.example:5433/postgres")
    assert server.pattern() == "postgresql://shop_{service}@db.example:5433/shop_{service}"
    assert (
        Server("postgresql://postgres@[::1]", "a").pattern()
        == "postgresql://a_{service}@[::1]:5432/a_{service}"
    )


@pytest.mark.parametrize("folder", ["50% off?", "a%2Fb", "x#y&z=1 +q", "it's \u00fc"])
def test_the_password_files_may_be_in_any_folder(tmp_path, folder):
    pattern = Server("postgresql://boss@db.example", "a").pattern(tmp_path / folder)
    url, file = pattern.replace("{service}", "cart"), str(tmp_path / folder / "cart.pgpass")
    assert conninfo.conninfo_to_dict(url)["passfile"] == file
    assert make_url(url).query == {"passfile": file}


def test_a_test_process_waits_when_another_has_the_only_share_of_connections(monkeypatch):
    url = postgresql.server_or_skip().url
    # More than any server has, so that there is only one share.
    monkeypatch.setattr(postgresql, "CONNECTIONS", 10_000)
    monkeypatch.setattr(postgresql, "LOCK_KEY", random.randrange(2**31))
    with psycopg.connect(url, autocommit=True) as other:
        with postgresql.ConnectionShare().held():
            assert not postgresql.try_lock(other)
        # The server gives the lock back when it has ended the session, a moment after the client closed it.
        wait_until(lambda: postgresql.try_lock(other))
