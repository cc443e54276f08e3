"""Names, ports and images that containers and clusters have in common."""

from __future__ import annotations

from pathlib import Path

from microservices.topology import Service, Topology

ROOT = Path(__file__).resolve().parents[2]
PORT = 8000
"""Where a replica listens in its container."""
PUBLIC_PORT = 8080
"""Where the gateway listens for customers in its container."""
INTERNAL_PORTS = 9001
"""The first of the gateway's ports for services that call each other, where the engine balances no load."""
USER = 10001
"""User and group of every process in our images."""
POSTGRES_USER = 999
"""User and group of the server in PostgreSQL's own image."""
POSTGRES_IMAGE = "postgres:17-trixie@sha256:d74eeac9a635390a49bc21bd49fccd973de707e2a53a76ac49b552b8712ec46f"
DATABASE_HOST = "postgresql"
DATABASE_PORT = 5432
MAX_CONNECTIONS = 400
"""Of the database server. A replica holds up to two for each of its threads, and two more."""
DATABASE_MEMORY, GATEWAY_MEMORY = 512, 192
"""MiB that these containers may use; docs/containers.md has the measurement."""
DATASET = "/shop/dataset"
"""Where a one-off container finds the data set that the monolith wrote."""
KEYS = "/shop/keys"
"""Where a shop keeps the key that hides card numbers; see `keeps_cards`."""
CONTRACT = Path("/app/docs/openapi.yaml")
"""The API contract in the images of the gateway and the monolith."""


def image(name: str) -> str:
    """The image of a service, of the monolith or of the gateway."""
    return f"shop-{name}:local"


def role(service: Service) -> str:
    """The service's database and the role that owns it."""
    return f"shop_{service.name}"


def password_variable(service: Service) -> str:
    """The environment variable with the role's password, for the one-off container that makes the databases."""
    return f"{service.name.upper()}_PASSWORD"


def keeps_cards(service: Service) -> bool:
    """Whether its replicas need one common key to hide card numbers."""
    return service.name in {"orders", "monolith"}


def is_public(service: Service) -> bool:
    """Whether the gateway sends customers' requests to it."""
    return bool(service.paths)


def callers(topology: Topology, service: Service) -> tuple[str, ...]:
    """The services that are given its address: those that call it, and those that fetch public keys from it."""
    return tuple(
        caller.name
        for caller in topology.services
        if service.name in {topology.resolve(name).name for name in topology.addresses_for(caller)}
    )
