"""Keys and passwords: made by a command when a shop is set up, written for an engine or a cluster, never committed."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from microservices.deployment import facts
from microservices.launcher.environment import identity, make_keys
from microservices.launcher.errors import LauncherError
from microservices.topology import MONOLITH, SPLIT, Topology

PASSWORD_BYTES = 24
CARD_KEY_BYTES = 32
ADMINISTRATOR = "postgres"

Secrets = Mapping[str, Mapping[str, str]]
"""By service, its secret settings; those of the database server are under its host's name."""


def make_secrets(*topologies: Topology) -> Secrets:
    """New keys for the services and new passwords for their databases."""
    administrator = secrets.token_urlsafe(PASSWORD_BYTES)
    server = {"POSTGRES_PASSWORD": administrator, "PGPASSWORD": administrator}
    made: dict[str, Mapping[str, str]] = {facts.DATABASE_HOST: server}
    for topology in topologies:
        keys = make_keys(topology)
        for service in topology.services:
            own = identity(topology, service, keys) if len(topology.services) > 1 else {}
            if service.has_database:
                password = secrets.token_urlsafe(PASSWORD_BYTES)
                server[facts.password_variable(service)] = password
                own["SHOP_DATABASE_URL"] = _url(facts.role(service), password)
            made[service.name] = own
    return made


def write_env_files(folder: Path) -> list[Path]:
    """Write a file for each service of both shops, for Compose; raises LauncherError when they are there already.

    The database keeps the passwords of the first ones: with new ones nobody could sign in.
    """
    if folder.exists():
        raise LauncherError(
            f"{folder} has secrets already, and the databases know them; to begin anew, run docker compose "
            f"--profile '*' down --volumes, remove {folder}, and run this again."
        )
    folder.mkdir(mode=0o700, parents=True)
    return [_write(folder / f"{name}.env", values) for name, values in make_secrets(SPLIT, MONOLITH).items()]


def as_objects(topology: Topology) -> list[Mapping[str, object]]:
    """Kubernetes' Secrets, after the Namespace that they are in."""
    namespace = topology.name
    objects: list[Mapping[str, object]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    ]
    for name, values in make_secrets(topology).items():
        objects.append(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": namespace},
                "stringData": dict(values),
            }
        )
    for service in filter(facts.keeps_cards, topology.services):
        key = base64.b64encode(secrets.token_bytes(CARD_KEY_BYTES)).decode()
        objects.append(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": f"{service.name}-keys", "namespace": namespace},
                "data": {f"{service.name}.key": key},
            }
        )
    return objects


def _url(role: str, password: str) -> str:
    return f"postgresql://{role}:{quote(password)}@{facts.DATABASE_HOST}:{facts.DATABASE_PORT}/{role}"


def _write(file: Path, values: Mapping[str, str]) -> Path:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as new:
        # In single quotes Compose replaces nothing; no value has one.
        new.writelines(f"{name}='{value}'\n" for name, value in values.items())
    return file
