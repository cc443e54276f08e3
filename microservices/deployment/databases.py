"""The SQL that creates a database and a role for each service, for `psql` in the image of the database server.

`microservices.launcher.databases` does the same from outside; a one-off container has no Python with the launcher.
"""

from __future__ import annotations

from microservices.deployment import facts
from microservices.topology import Service, Topology

HEAD = """\
-- Made by `microservices containers make` and `microservices kubernetes make`.
-- A database and a role for each service. It creates what is missing and sets the passwords; data stays.
-- A role owns its database and can connect to no other.
"""
ONE = r"""
\getenv password {variable}
SELECT 'CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE'
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') \gexec
ALTER ROLE {role} PASSWORD :'password';
SELECT 'CREATE DATABASE {role} OWNER {role}'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{role}') \gexec
REVOKE ALL ON DATABASE {role} FROM PUBLIC;
"""


def sql(*topologies: Topology) -> str:
    """The script for the databases of these shops on one server."""
    services = [service for topology in topologies for service in topology.with_database]
    return HEAD + "".join(_one(service) for service in services)


def _one(service: Service) -> str:
    return ONE.format(role=facts.role(service), variable=facts.password_variable(service))
