"""Creates and drops a PostgreSQL database and a role for each service that has a database.

Each role owns its database and cannot connect to any other, because the right to CONNECT is revoked from PUBLIC. The
commands need an administrator's URL; the shop never sees it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import conninfo, sql

from microservices.launcher.errors import LauncherError
from microservices.topology import SPLIT, Topology

CONNECT_SECONDS = 5
PASSWORD_BYTES = 24


class DatabasesError(LauncherError):
    """The server is not there, or refuses."""


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL server and the names on it."""

    url: str
    """The administrator's URL, such as postgresql://postgres@127.0.0.1:5432."""
    prefix: str = "shop"
    """The database and the role of a service are both named <prefix>_<service>."""

    def name(self, service: str) -> str:
        """The name of the service's database and role."""
        return f"{self.prefix}_{service}"

    def pattern(self, passwords: Path | None = None) -> str:
        """SHOP_DATABASE_URL for all services, with {service} for the name of each."""
        names = self.name("{service}")
        suffix = f"?passfile={quote(str(passwords.absolute()))}/{{service}}.pgpass" if passwords else ""
        return f"postgresql://{names}@{self.address}/{names}{suffix}"

    @property
    def address(self) -> str:
        """Host and port."""
        parameters = _parameters(self.url)
        host, port = str(parameters.get("host", "127.0.0.1")), parameters.get("port", 5432)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def create(server: Server, passwords: Path, topology: Topology = SPLIT) -> str:
    """Create what is missing; returns the SHOP_DATABASE_URL to export. Existing data stays.

    Where the server asks the roles for a password, each call sets new ones and writes each into its own file in the
    folder `passwords`, in the format of PostgreSQL's password file.
    """
    names = {service.name: server.name(service.name) for service in topology.with_database}
    with _admin_connection(server) as admin:
        for name in names.values():
            _create_one(admin, name)
        if all(_trusts(server, name) for name in names.values()):
            return server.pattern()
        for service, name in names.items():
            password = secrets.token_urlsafe(PASSWORD_BYTES)
            admin.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(name), sql.Literal(password))
            )
            _write_password(passwords / f"{service}.pgpass", name, password)
    return server.pattern(passwords)


def drop(server: Server, topology: Topology = SPLIT) -> None:
    """Drop the databases with all their data, and the roles; missing ones are no error."""
    with _admin_connection(server) as admin:
        for service in topology.with_database:
            name = sql.Identifier(server.name(service.name))
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(name))
            admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(name))


def _create_one(admin: psycopg.Connection, name: str) -> None:
    identifier = sql.Identifier(name)
    if not _exists(admin, "SELECT 1 FROM pg_roles WHERE rolname = %s", name):
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE").format(identifier))
        # Without superuser rights, the owner of a new database must be a role that the creator is a member of.
        admin.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(identifier))
    if not _exists(admin, "SELECT 1 FROM pg_database WHERE datname = %s", name):
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(identifier, identifier))
    admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(identifier))


def _exists(admin: psycopg.Connection, query: str, name: str) -> bool:
    return admin.execute(query, [name]).fetchone() is not None


@contextmanager
def _admin_connection(server: Server) -> Iterator[psycopg.Connection]:
    """A connection as the administrator; its errors become DatabasesError."""
    try:
        database = str(_parameters(server.url).get("dbname", "postgres"))
        # Autocommit, because PostgreSQL creates no database inside a transaction.
        with psycopg.connect(
            server.url, dbname=database, autocommit=True, connect_timeout=CONNECT_SECONDS
        ) as admin:
            yield admin
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabasesError(
            f"The role in --url may not do this ({_first_line(error)}); use one with CREATEDB and CREATEROLE, "
            "such as postgres."
        ) from error
    except psycopg.errors.ObjectInUse as error:
        raise DatabasesError(
            f"A database is in use ({_first_line(error)}); stop the shop first: microservices down"
        ) from error
    except psycopg.OperationalError as error:
        raise DatabasesError(
            f"PostgreSQL at {server.address} refuses the connection ({_first_line(error)}); start it, or correct --url."
        ) from error
    except psycopg.Error as error:
        raise DatabasesError(f"PostgreSQL at {server.address} refused: {_first_line(error)}.") from error


def _trusts(server: Server, name: str) -> bool:
    """Whether the server lets the role in without a password, as with `trust` authentication."""
    own = f"postgresql://{name}@{server.address}/{name}"
    try:
        # Use no password from the user's own password file: the shop would not have it.
        psycopg.connect(own, passfile="", password="", connect_timeout=CONNECT_SECONDS).close()
    except psycopg.OperationalError:
        return False
    return True


def _write_password(file: Path, name: str, password: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(f"*:*:{name}:{name}:{password}\n", encoding="utf-8")


def _parameters(url: str) -> dict[str, object]:
    try:
        return dict(conninfo.conninfo_to_dict(url))
    except psycopg.ProgrammingError as error:
        raise DatabasesError(f"--url is not a PostgreSQL address: {_first_line(error)}.") from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
