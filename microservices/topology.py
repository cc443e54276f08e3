"""Which services there are, who owns which public path and who calls whom: the one place that says so.

The gateway's configuration, each replica's environment, the keys it trusts and `microservices routes` all come
from here. A service that is not named in another's `needs` gets no address of it and trusts no key of its own.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    stands_for: tuple[str, ...] = ()
    """Services that are not split off yet: whoever needs one of them is sent here, with a token for that name."""


@dataclass(frozen=True, slots=True)
class Topology:
    """A set of services that stand behind one gateway."""

    name: str
    services: tuple[Service, ...]
    files: tuple[tuple[str, Path], ...] = ()
    """Public paths that the gateway answers from a file."""
    folder: Path | None = None
    """Working directory of its processes, so that the packages there win; the launcher's own when None."""
    caddyfile: Path | None = None
    """The gateway's configuration, where it is written by hand; made by `microservices.launcher.gateway` when None."""

    def service(self, name: str) -> Service:
        """The service of that name; KeyError when there is none."""
        return {service.name: service for service in self.services}[name]

    def answering(self, name: str) -> Service:
        """Who takes the calls for `name`: that service, or the one that stands for it; KeyError when nobody does."""
        standing = {other: service for service in self.services for other in service.stands_for}
        return (standing | {service.name: service for service in self.services})[name]

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

    def called_inside(self) -> tuple[str, ...]:
        """Names of the services that the gateway offers to other services: all, or in a Caddyfile the needed ones."""
        if self.caddyfile is None:
            return tuple(service.name for service in self.services)
        needed = (name for service in self.services for name in self.addresses_for(service))
        return tuple(sorted({self.answering(name).name for name in needed}))

    def callers_of(self, name: str) -> tuple[str, ...]:
        """Names of the services whose service tokens `name` accepts."""
        own = {name, *self.service(name).stands_for}
        return tuple(service.name for service in self.services if own & set(service.needs))


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


class WorkspaceError(Exception):
    """A workspace's topology.py cannot be used; the text is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A shop in a folder of its own, as its topology.py describes it."""

    topology: Topology
    seed: Mapping[str, tuple[str, ...]]
    """By service, what fills its database: arguments after the interpreter. They run in the workspace with the
    service's SHOP_DATABASE_URL; {dataset} is the folder that `monolith dataset` wrote."""


def load(folder: Path) -> Workspace:
    """The shop in `folder`, from TOPOLOGY and SEED in its topology.py; raises WorkspaceError."""
    folder = folder.absolute()
    file = folder / "topology.py"
    if not file.is_file():
        raise WorkspaceError(f"There is no {file}; a workspace has one from exercise 04 on.")
    found = _run(file)
    topology, seed = found.get("TOPOLOGY"), found.get("SEED", {})
    if not isinstance(topology, Topology):
        raise WorkspaceError(f"{file} defines no TOPOLOGY; write TOPOLOGY = Topology(...) there.")
    if not isinstance(seed, Mapping) or not all(isinstance(command, tuple) for command in seed.values()):
        raise WorkspaceError(f"SEED in {file} is not a dict of service name to a tuple of arguments.")
    if topology.caddyfile is not None:
        topology = replace(topology, caddyfile=folder / topology.caddyfile)
    topology = replace(topology, folder=folder)
    if problem := _contradiction(topology, seed):
        raise WorkspaceError(f"{problem} Correct {file}.")
    return Workspace(topology, dict(seed))


def _run(file: Path) -> dict[str, object]:
    spec = importlib.util.spec_from_file_location("workspace_topology", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # an edit within a second must be seen
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise WorkspaceError(
            f"{file} cannot be read ({type(error).__name__}: {error}); correct it."
        ) from error
    finally:
        sys.dont_write_bytecode = writes
    return vars(module)


def _contradiction(topology: Topology, seed: Mapping[str, tuple[str, ...]]) -> str | None:
    """What does not fit together, as a sentence."""
    names = [service.name for service in topology.services]
    answered = [*names, *(name for service in topology.services for name in service.stands_for)]
    if twice := sorted({name for name in answered if answered.count(name) > 1}):
        return f"More than one service answers as {', '.join(twice)}."
    for service in topology.services:
        if missing := sorted(set(topology.addresses_for(service)) - set(answered)):
            return f"{service.name} needs {', '.join(missing)}, which no service is and none stands for."
    if strangers := sorted(set(seed) - set(names)):
        return f"SEED fills {', '.join(strangers)}, but the services are {', '.join(names)}."
    if topology.caddyfile is not None and not topology.caddyfile.is_file():
        return f"There is no file {topology.caddyfile} for the gateway."
    return None
