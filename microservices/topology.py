"""Which services there are, who owns which public path and who calls whom: the one place that says so.

The gateway's configuration, each replica's environment, the keys it trusts and `microservices routes` all come
from here. A service that is not named in another's `needs` gets no address of it and trusts no key of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SLOTS = 8
"""Ports declared up front for each service: a running gateway is never reconfigured, so this bounds the replicas."""

OPENAPI_FILE = Path(__file__).resolve().parent.parent / "docs" / "openapi.yaml"
"""The contract, which the gateway of the split serves as a file; the monolith serves it itself."""


@dataclass(frozen=True, slots=True)
class Service:
    """One deployable unit: what it is started with, what it owns and what it needs."""

    name: str
    command: tuple[str, ...]
    """Arguments after the Python interpreter; {host} and {port} are filled in."""
    paths: tuple[str, ...] = ()
    """Public path prefixes it owns; `*` stands for one segment, "/" for everything that nobody else owns."""
    needs: tuple[str, ...] = ()
    """Services that it calls with a service token: it gets their addresses, they get its public key."""
    reads_jwks: bool = False
    """Checks customers' tokens, so it also gets the address of accounts, for the public keys."""
    has_database: bool = True
    threads: int = 4
    """Requests that one replica works on at a time: more where they wait for other services, not for the CPU."""
    slots: int = SLOTS


@dataclass(frozen=True, slots=True)
class Topology:
    """A set of services that stand behind one gateway."""

    name: str
    services: tuple[Service, ...]
    files: tuple[tuple[str, Path], ...] = ()
    """Public paths that the gateway answers from a file."""

    def service(self, name: str) -> Service:
        """The service of that name; KeyError when there is none."""
        return {service.name: service for service in self.services}[name]

    def refusal(self, name: str, count: int) -> str | None:
        """Why the service `name` cannot have `count` replicas, as a sentence; None when it can."""
        names = [service.name for service in self.services]
        if name not in names:
            return f"There is no service {name!r}; the services are {', '.join(names)}."
        slots = self.service(name).slots
        if not 0 <= count <= slots:
            return f"{name} cannot have {count} replicas; choose a number from 0 to {slots}, its slots."
        return None

    def addresses_for(self, service: Service) -> tuple[str, ...]:
        """Names of the services whose addresses `service` gets."""
        jwks = ("accounts",) if service.reads_jwks and "accounts" not in service.needs else ()
        return (*service.needs, *jwks)

    def callers_of(self, name: str) -> tuple[str, ...]:
        """Names of the services whose service tokens `name` accepts."""
        return tuple(service.name for service in self.services if name in service.needs)


def _on_chassis(name: str) -> tuple[str, ...]:
    return ("-m", "microservices.chassis.serve", f"microservices.{name}.app")


SPLIT = Topology(
    "microservices",
    services=(
        Service(
            "accounts",
            _on_chassis("accounts"),
            paths=("/api/customers", "/api/sessions", "/.well-known/jwks.json"),
        ),
        Service(
            "catalog",
            _on_chassis("catalog"),
            paths=("/api/products", "/api/categories"),
            reads_jwks=True,
        ),
        Service(
            "recommendations",
            _on_chassis("recommendations"),
            paths=("/api/products/*/recommendations",),
            needs=("orders",),
            reads_jwks=True,
            # It never waits, it computes: four threads cost 7 % more CPU a call than two, one costs 20 % less,
            # but then a health check waits behind a whole queue.
            threads=2,
        ),
        Service(
            "cart",
            _on_chassis("cart"),
            paths=("/api/cart",),
            needs=("catalog",),
            reads_jwks=True,
        ),
        Service(
            "inventory",
            _on_chassis("inventory"),
            paths=("/api/inventory",),
            reads_jwks=True,
        ),
        Service(
            "payments",
            _on_chassis("payments"),
            threads=8,
        ),
        Service(
            "orders",
            _on_chassis("orders"),
            paths=("/api/orders",),
            needs=("cart", "catalog", "inventory", "payments"),
            reads_jwks=True,
            threads=8,
        ),
        Service(
            "storefront",
            _on_chassis("storefront"),
            paths=("/",),
            needs=("accounts", "catalog", "recommendations", "cart", "inventory", "orders"),
            has_database=False,
            threads=16,
        ),
    ),
    files=(("/api/openapi.yaml", OPENAPI_FILE),),
)

MONOLITH = Topology(
    "monolith",
    services=(
        # Replicas of the one block share its one database file.
        Service(
            "monolith",
            ("-m", "monolith.cli", "serve", "--host", "{host}", "--port", "{port}"),
            paths=("/",),
        ),
    ),
)
