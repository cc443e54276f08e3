"""A PostgreSQL database and a role for each service that keeps data: made by one command, dropped by another.

Each role owns its database and may connect to no other: who is let in is decided by the right to CONNECT, which is
taken from the public. The command needs an administrator's URL; the shop never sees it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import conninfo, sql

from microservices.launcher.errors import LauncherError
from microservices.topology import SPLIT, Service, Topology

CONNECT_SECONDS = 5
PASSWORD_BYTES = 24


class DatabasesError(LauncherError):
    """The server is not there, or does not let us do this."""


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL server, as its administrator reaches it."""

    url: str
    """The administrator's, such as postgresql://postgres@127.0.0.1:5432."""
    prefix: str = "shop"
    """Database and role of a service are both named <prefix>_<service>."""

    def name(self, service: str) -> str:
        """Of the service's database, and of its role."""
        return f"{self.prefix}_{service}"

    def pattern(self, passwords: Path | None = None) -> str:
        """SHOP_DATABASE_URL for all services: {service} stands for the name of each."""
        names = self.name("{service}")
        suffix = f"?passfile={passwords.absolute()}/{{service}}.pgpass" if passwords else ""
        return f"postgresql://{names}@{self.address}/{names}{suffix}"

    @property
    def address(self) -> str:
        """Host and port."""
        told = _told(self.url)
        host = str(told.get("host", "127.0.0.1"))
        return f"[{host}]:{told.get('port', 5432)}" if ":" in host else f"{host}:{told.get('port', 5432)}"


def create(server: Server, passwords: Path, topology: Topology = SPLIT) -> str:
    """Make what is missing; returns the SHOP_DATABASE_URL to export.

    A server that asks the roles for a password gets new ones each time; each is written into a file of its own in
    the folder `passwords`, in the form of PostgreSQL's own password file. What the databases hold stays.
    """
    names = {service.name: server.name(service.name) for service in _keeping_data(topology)}
    with _administration(server) as admin:
        for name in names.values():
            _make(admin, name)
        if all(_lets_in(server, name) for name in names.values()):
            return server.pattern()
        for service, name in names.items():
            password = secrets.token_urlsafe(PASSWORD_BYTES)
            admin.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(name), sql.Literal(password))
            )
            _write_password(passwords / f"{service}.pgpass", name, password)
    return server.pattern(passwords)


def drop(server: Server, topology: Topology = SPLIT) -> None:
    """Drop the databases with all that they hold, and the roles; those that are not there are no mistake."""
    with _administration(server) as admin:
        for service in _keeping_data(topology):
            name = sql.Identifier(server.name(service.name))
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(name))
            admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(name))


def _keeping_data(topology: Topology) -> list[Service]:
    return [service for service in topology.services if service.has_database]


def _make(admin: psycopg.Connection, name: str) -> None:
    identifier = sql.Identifier(name)
    if not _exists(admin, "SELECT 1 FROM pg_roles WHERE rolname = %s", name):
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE").format(identifier))
        # Who is no superuser may give a database only to a role that it belongs to.
        admin.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(identifier))
    if not _exists(admin, "SELECT 1 FROM pg_database WHERE datname = %s", name):
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(identifier, identifier))
    admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(identifier))


def _exists(admin: psycopg.Connection, query: str, name: str) -> bool:
    return admin.execute(query, [name]).fetchone() is not None


@contextmanager
def _administration(server: Server) -> Iterator[psycopg.Connection]:
    """A connection of the administrator's; what goes wrong comes out as a sentence."""
    try:
        database = str(_told(server.url).get("dbname", "postgres"))
        # No transaction: PostgreSQL creates no database inside one.
        with psycopg.connect(
            server.url, dbname=database, autocommit=True, connect_timeout=CONNECT_SECONDS
        ) as admin:
            yield admin
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabasesError(
            f"The role in --url may not do this ({_first_line(error)}); take one with CREATEDB and CREATEROLE, "
            "such as postgres."
        ) from error
    except psycopg.errors.ObjectInUse as error:
        raise DatabasesError(
            f"A database is in use ({_first_line(error)}); stop the shop first: microservices down"
        ) from error
    except psycopg.OperationalError as error:
        raise DatabasesError(
            f"PostgreSQL at {server.address} does not let us in ({_first_line(error)}); start it, or correct --url."
        ) from error
    except psycopg.Error as error:
        raise DatabasesError(f"PostgreSQL at {server.address} refused: {_first_line(error)}.") from error


def _lets_in(server: Server, name: str) -> bool:
    """Whether the role gets into its database without a password, as where the server trusts this machine."""
    own = f"postgresql://{name}@{server.address}/{name}"
    try:
        # No password from a file of the person's either: the shop will not have it.
        psycopg.connect(own, passfile="", password="", connect_timeout=CONNECT_SECONDS).close()
    except psycopg.OperationalError:
        return False
    return True


def _write_password(file: Path, name: str, password: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(f"*:*:{name}:{name}:{password}\n", encoding="utf-8")


def _told(url: str) -> dict[str, object]:
    try:
        return dict(conninfo.conninfo_to_dict(url))
    except psycopg.ProgrammingError as error:
        raise DatabasesError(f"--url is no PostgreSQL address: {_first_line(error)}.") from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
