"""Both shops as real processes for the tests of one module, on fresh data and one of the two databases."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.contract.parity import ParityResult, run_parity
from loadtests.contract.parity.script import MIN_REQUESTS
from microservices.launcher import MONOLITH, SPLIT, Fleet, sqlite_url
from microservices.launcher.databases import Server
from microservices.tests import postgresql
from microservices.topology import Topology

SIZES = {"SHOP_PRODUCTS": "200", "SHOP_CUSTOMERS": "30", "SHOP_ORDERS": "300"}
QUICK = {"SHOP_PAYMENT_TIMEOUT_SECONDS": "0.3"}
"""The time that a shop waits for a payment card that does not answer."""
TWO = {"monolith": 2, "accounts": 2, "orders": 2}
"""Several replicas of these services, to show that they do not count or do the same thing twice."""
SCRIPT = MIN_REQUESTS


@dataclass(frozen=True)
class Shops:
    """Both shops, after the parity check."""

    urls: dict[str, str]
    split: str
    """The URL of the split's databases, with {service} in place of the name."""
    parity: ParityResult
    servers: dict[str, Server] = field(default_factory=dict)


@contextmanager
def on_sqlite(home: Path, split: Topology = SPLIT) -> Iterator[Shops]:
    """Both shops on SQLite files in `home`/data, their default place; `split` may run other programs."""
    data = home / "data"
    with _open(home, {}, split) as urls:
        yield Shops(urls, sqlite_url(data) + "/{service}.sqlite3", _parity(urls))


@contextmanager
def on_postgresql(home: Path) -> Iterator[Shops]:
    """Both shops on new PostgreSQL databases, which are dropped afterwards. Skips the test without PostgreSQL."""
    with ExitStack() as stack:
        servers, patterns = {}, {}
        for topology in (MONOLITH, SPLIT):
            servers[topology.name], patterns[topology.name] = stack.enter_context(
                postgresql.databases(topology)
            )
        urls = stack.enter_context(_open(home, patterns))
        yield Shops(urls, patterns["microservices"], _parity(urls), servers)


@contextmanager
def _open(home: Path, patterns: Mapping[str, str], split: Topology = SPLIT) -> Iterator[dict[str, str]]:
    data = home / "data"
    with ExitStack() as stack:
        urls = {}
        for topology in (MONOLITH, split):
            settings = SIZES | QUICK
            if topology.name in patterns:
                settings |= {"SHOP_DATABASE_URL": patterns[topology.name]}
            _seed(topology, home, settings)
            names = {service.name for service in topology.services}
            replicas = {name: count for name, count in TWO.items() if name in names}
            fleet = Fleet(topology, replicas, data_dir=data, home=home, env=settings)
            urls[topology.name] = stack.enter_context(fleet).url
        yield urls


def expect_the_acceptance_suite_to_pass(url: str) -> None:
    """Run the suite against the shop at `url`, in a process of its own."""
    suite = Path(__file__).resolve().parents[1] / "contract" / "acceptance"
    options = ["-q", "-p", "no:cacheprovider", str(suite), "--shop-url", url]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=suite.parents[2],
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:]
    assert " passed" in done.stdout.splitlines()[-1]


def _parity(urls: Mapping[str, str]) -> ParityResult:
    """The parity check runs first, because it needs the same fresh data in both shops."""
    return run_parity(urls["monolith"], urls["microservices"], 1, SCRIPT)


def _seed(topology: Topology, home: Path, settings: Mapping[str, str]) -> None:
    command = ["microservices.cli", "seed", "--data", str(home / "data")]
    if topology is MONOLITH:
        command = ["monolith.cli", "seed"]
        settings = {name: value.replace("{service}", MONOLITH.name) for name, value in settings.items()}
    env = {**os.environ, **settings, "SHOP_HOME": str(home)}
    subprocess.run([sys.executable, "-m", *command], env=env, check=True, capture_output=True, timeout=120)
