"""A shop to break: it has its own data and ports, and a fault proxy before three of its services.

The environment may name the databases of a real shop. They are never used here; those of `pattern` are, and their data
is replaced.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from microservices.chaos.faultproxy import FaultProxy
from microservices.chaos.snapshot import Databases, Snapshot
from microservices.chassis.config import sqlite_url
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
"""Each thread may hold two connections. So eleven replicas, the most there are while one service has four, stay below
the hundred connections that a PostgreSQL server allows."""
PROXIED = ("payments", "recommendations", "catalog")


@dataclass(frozen=True, slots=True)
class ShopUnderTest:
    """A running shop, its proxies, and a function that reads all its databases."""

    fleet: Fleet
    proxies: Mapping[str, FaultProxy]
    snapshot: Callable[[], Snapshot]
    messages: list[tuple[float, str]]
    """The launcher's messages, each with its time.monotonic()."""

    @property
    def port(self) -> int:
        """The public port."""
        return int(self.fleet.url.rpartition(":")[2])

    def metrics(self, service: str) -> Iterator[str]:
        """The lines of /metrics of all replicas of a service."""
        for replica in self.fleet.replicas(service):
            connection = http.client.HTTPConnection("127.0.0.1", replica.port, timeout=5)
            try:
                connection.request("GET", "/metrics")
                yield from connection.getresponse().read().decode().splitlines()
            finally:
                connection.close()

    def counter(self, service: str, metric: str, *labels: str) -> float:
        """The sum of a counter over all replicas of a service, where its labels contain each of these texts."""
        lines = (line for line in self.metrics(service) if line.startswith(metric))
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in labels))


@contextmanager
def running_shop(
    home: Path,
    *,
    cache: Path | None = None,
    replicas: Mapping[str, int] | None = None,
    pattern: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[ShopUnderTest]:
    """A freshly seeded split shop below `home`, while the block runs; `cache` is the home with seeded databases."""
    data = home / "data"
    settings = {
        **SIZES,
        **(env or {}),
        "SHOP_DATABASE_URL": pattern or sqlite_url(data) + "/{service}.sqlite3",
    }
    seed(data, home=cache or home, env=settings)
    messages: list[tuple[float, str]] = []
    with ExitStack() as stack:
        proxies = {name: stack.enter_context(FaultProxy()) for name in PROXIED}
        fleet = Fleet(
            SPLIT,
            replicas,
            data_dir=data,
            home=home,
            env=settings,
            env_for=_settings(proxies, few_connections=pattern is not None),
            say=lambda text: messages.append((time.monotonic(), text)),
        )
        stack.enter_context(fleet)
        for name, proxy in proxies.items():
            proxy.upstream = fleet.internal_ports[name]
        databases = Databases(settings["SHOP_DATABASE_URL"])
        yield ShopUnderTest(fleet, proxies, lambda: Snapshot.read(databases), messages)


def _settings(proxies: Mapping[str, FaultProxy], *, few_connections: bool) -> dict[str, dict[str, str]]:
    """The settings of each service: the proxies' addresses in place of the services that it calls."""
    return {
        service.name: {
            **{f"SHOP_{name.upper()}_URL": proxies[name].url for name in service.needs if name in proxies},
            **({"SHOP_THREADS": FEW_THREADS} if few_connections and service.has_database else {}),
        }
        for service in SPLIT.services
    }
