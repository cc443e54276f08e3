"""The environment of a replica: its identity, the services it may call, the callers it trusts."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from microservices.chassis.config import sqlite_url
from microservices.launcher.addresses import HOST, Addresses
from microservices.launcher.errors import LauncherError
from microservices.topology import Service, Topology

FLEET_ID_VARIABLE = "SHOP_FLEET"
"""The environment variable in which every process has its fleet's id, so that leftover processes are identified."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Raw Ed25519 keys in base64."""

    private: str
    public: str


def make_keys(topology: Topology) -> dict[str, KeyPair]:
    """A new pair for each service. It lasts as long as the fleet, so that a restarted replica is still trusted."""
    # Imported here because it takes 60 ms and only `up` needs it.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    keys = {}
    for service in topology.services:
        private = Ed25519PrivateKey.generate()
        keys[service.name] = KeyPair(
            base64.b64encode(private.private_bytes_raw()).decode(),
            base64.b64encode(private.public_key().public_bytes_raw()).decode(),
        )
    return keys


def database_url(topology: Topology, service: Service, data_dir: Path, pattern: str | None) -> str:
    """The URL of the service's database: an SQLite file, or `pattern` with {service} filled in."""
    owner = service.database_of or service.name
    if not pattern:
        return sqlite_url(data_dir / f"{owner}.sqlite3")
    if "{service}" not in pattern and len(topology.with_database) > 1:
        raise LauncherError(
            "SHOP_DATABASE_URL names one database for all services, but each owns its own; write {service} in it."
        )
    return pattern.replace("{service}", owner)


def inherited(env: Mapping[str, str]) -> dict[str, str]:
    """What a process inherits from the launcher's environment: all but addresses and keys of another fleet."""
    of_a_fleet = {
        "SHOP_SERVICE",
        "SHOP_SERVICE_KEY",
        "SHOP_TRUSTED_KEYS",
        "SHOP_DRAIN_FILE",
        "SHOP_PORT",
        FLEET_ID_VARIABLE,
    }
    return {
        name: value
        for name, value in env.items()
        if name not in of_a_fleet and not (name.startswith("SHOP_") and name.endswith("_URL"))
    }


def identity(topology: Topology, service: Service, keys: Mapping[str, KeyPair]) -> dict[str, str]:
    """The key with which the service signs its calls, and the public keys of those that may call it."""
    trusted = {
        name: keys[caller].public
        for caller in topology.callers_of(service.name)
        for name in topology.names_of(caller)
    }
    return {"SHOP_SERVICE_KEY": keys[service.name].private, "SHOP_TRUSTED_KEYS": json.dumps(trusted)}


def callees(topology: Topology, service: Service, url: Callable[[str], str]) -> dict[str, str]:
    """Where the service finds those that it calls; `url` gives the address of a service by its name."""
    return {
        f"SHOP_{name.upper()}_URL": url(topology.resolve(name).name)
        for name in topology.addresses_for(service)
    }


def service_environment(
    topology: Topology,
    service: Service,
    *,
    addresses: Addresses,
    keys: Mapping[str, KeyPair],
    home: Path,
    data_dir: Path,
    extra: Mapping[str, str],
) -> dict[str, str]:
    """The environment of all replicas of `service`; `extra` overrides everything but the database's URL."""
    settings = dict(extra)
    pattern = settings.pop("SHOP_DATABASE_URL", os.environ.get("SHOP_DATABASE_URL"))
    env = inherited(os.environ) | {
        "SHOP_HOME": str(home.absolute()),
        "SHOP_SERVICE": service.name,
        "SHOP_HOST": HOST,
        "SHOP_BEHIND_GATEWAY": "1",
        "SHOP_THREADS": str(service.threads),
    }
    env |= identity(topology, service, keys)
    env |= callees(topology, service, lambda name: f"http://{HOST}:{addresses.internal[name]}")
    env |= settings
    if service.has_database:
        env["SHOP_DATABASE_URL"] = database_url(topology, service, data_dir, pattern)
    return env
