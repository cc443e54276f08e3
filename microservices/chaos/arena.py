"""A split shop to break: data and ports of its own, and a fault proxy on the way to three of its services.

The customer's own environment may name databases of a real shop; they are never used here. Those of `pattern` are,
and what they held is replaced.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from microservices.chaos.faultproxy import FaultProxy
from microservices.chaos.invariants import Databases, Shop
from microservices.launcher import SPLIT, Fleet
from microservices.launcher.seed import seed

SIZES = {
    "SHOP_SEED": "1",
    "SHOP_PRODUCTS": "200",
    "SHOP_CUSTOMERS": "50",
    "SHOP_ORDERS": "400",
    "SHOP_TOKEN_MINUTES": "1440",
}
FEW_THREADS = "3"
"""Each may hold two connections: so eleven replicas, as many as there are while one service has four, stay below the
hundred that a PostgreSQL server lets in."""
PROXIED = ("payments", "recommendations", "catalog")


@dataclass(frozen=True, slots=True)
class Arena:
    """A running shop, its proxies, and a way to look into all its databases."""

    fleet: Fleet
    proxies: Mapping[str, FaultProxy]
    look: Callable[[], Shop]
    """What all databases hold now."""
    said: list[tuple[float, str]]
    """What the launcher said, each with its time.monotonic()."""

    @property
    def port(self) -> int:
        """Where customers ask."""
        return int(self.fleet.url.rpartition(":")[2])

    def metrics(self, service: str) -> Iterator[str]:
        """The lines of a service's /metrics, of all its replicas."""
        for replica in self.fleet.replicas(service):
            connection = http.client.HTTPConnection("127.0.0.1", replica.port, timeout=5)
            try:
                connection.request("GET", "/metrics")
                yield from connection.getresponse().read().decode().splitlines()
            finally:
                connection.close()

    def counted(self, service: str, metric: str, *labels: str) -> float:
        """The sum of a counter over all replicas of a service, where its labels hold each of these texts."""
        lines = (line for line in self.metrics(service) if line.startswith(metric))
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in labels))


@contextmanager
def opened(
    home: Path,
    *,
    cache: Path | None = None,
    replicas: Mapping[str, int] | None = None,
    pattern: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Arena]:
    """Seed and open a shop below `home`, and close it at the end; `cache` is a home that keeps seeded databases."""
    data = home / "data"
    settings = {
        **SIZES,
        **(env or {}),
        "SHOP_DATABASE_URL": pattern or f"sqlite:///{data}/{{service}}.sqlite3",
    }
    seed(data, home=cache or home, env=settings)
    said: list[tuple[float, str]] = []
    with ExitStack() as stack:
        proxies = {name: stack.enter_context(FaultProxy()) for name in PROXIED}
        fleet = Fleet(
            SPLIT,
            replicas,
            data_dir=data,
            home=home,
            env=settings,
            env_for=_settings(proxies, few_connections=pattern is not None),
            say=lambda text: said.append((time.monotonic(), text)),
        )
        stack.enter_context(fleet)
        for name, proxy in proxies.items():
            proxy.upstream = fleet.internal_ports[name]
        databases = Databases(settings["SHOP_DATABASE_URL"])
        yield Arena(fleet, proxies, lambda: Shop.look(databases), said)


def _settings(proxies: Mapping[str, FaultProxy], *, few_connections: bool) -> dict[str, dict[str, str]]:
    """What each service is told apart from the others: where it finds a proxy in place of those whom it calls."""
    return {
        service.name: {
            **{f"SHOP_{name.upper()}_URL": proxies[name].url for name in service.needs if name in proxies},
            **({"SHOP_THREADS": FEW_THREADS} if few_connections and service.has_database else {}),
        }
        for service in SPLIT.services
    }
