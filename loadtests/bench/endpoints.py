"""What a request costs: CPU microseconds and requests per second of each endpoint of both shops.

One run measures a bare Flask hello (the floor), a product that bare Flask reads with an ORM session, the monolith
without and with the gateway, and the split with all its processes and the gateway added up. Each endpoint gets one
request at a time for its CPU, then requests on four connections for its rate. The CPU that a target uses without
requests (probes, polling) is measured first, shown, and subtracted.

All targets run at the same time and take turns, endpoint by endpoint, in three rounds; the median is shown. A
machine's speed changes within a minute: measured one after the other, the same code gave ratios from 1.9 to 2.6.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from loadtests.analysis.summaries import geometric_mean
from loadtests.bench.bars import MEBIBYTE, Check
from loadtests.bench.client import BenchError
from loadtests.bench.journeys import ENDPOINTS, HELLO, MIXED, PRODUCT, Shopper, sign_in
from loadtests.bench.targets import Target, TargetResult, booted
from loadtests.experiments.bar import Bar
from loadtests.load.shelf import learn
from microservices.launcher import MONOLITH, SPLIT, sqlite_url
from microservices.topology import Service, Topology

FLOOR = Topology(
    "floor",
    (Service("hello", ("-m", "loadtests.bench.floor", "{host}", "{port}"), ("/",), has_database=False),),
)
ORM = Topology(
    "orm-session", (Service("product", ("-m", "loadtests.bench.orm", "{host}", "{port}"), ("/",)),)
)
CONNECTIONS = 4
ROUNDS = 3


@contextmanager
def seeded(show: Callable[[str], None]) -> Iterator[tuple[Path, float]]:
    """A folder with both shops' data while the block runs, and the seconds that seeding took."""
    with tempfile.TemporaryDirectory(prefix="shop-bench-") as folder:
        show("seeding both shops from nothing")
        yield Path(folder), _seed(Path(folder))


def run(home: Path, seconds: float, show: Callable[[str], None]) -> list[TargetResult]:
    """Measure everything on the data in `home`, each endpoint for `seconds` twice a round."""
    with ExitStack() as running:
        targets: list[list[Target]] = []
        for topology in (FLOOR, ORM, MONOLITH, SPLIT):
            show(f"booting {topology.name}")
            url = {"SHOP_DATABASE_URL": _database(home)} if topology is ORM else {}
            targets.append(running.enter_context(booted(topology, home, **url)))
        floors, orms, *shops = targets
        _measure_rounds(floors, orms, [target for each in shops for target in each], seconds, show)
        return [target.result for each in targets for target in each]


def _measure_rounds(
    floors: Sequence[Target],
    orms: Sequence[Target],
    shops: Sequence[Target],
    seconds: float,
    show: Callable[[str], None],
) -> None:
    nobody = [Shopper((), "")] * CONNECTIONS
    shoppers_of = [customers(target) for target in shops]
    strangers = [Shopper(shopper.skus, "") for shopper in shoppers_of[0]]
    for number in range(ROUNDS):
        for target in floors:
            target.measure(HELLO, nobody, seconds)
        for target in orms:
            target.measure(PRODUCT, strangers, seconds)
        for journey in (*ENDPOINTS, MIXED):
            show(f"round {number + 1} of {ROUNDS}: {journey.name}")
            for target, shoppers in zip(shops, shoppers_of, strict=True):
                target.measure(journey, shoppers, seconds)


def customers(target: Target) -> list[Shopper]:
    """Customers who are signed in at the target, one for each connection."""
    skus = learn(target.url).skus
    return [Shopper(skus, sign_in(target.url, number)) for number in range(CONNECTIONS)]


def _seed(home: Path) -> float:
    """Seed both shops without a cache; returns the seconds."""
    started = time.perf_counter()
    base = {**os.environ, "SHOP_HOME": str(home)}
    base.pop("SHOP_DATABASE_URL", None)
    monolith = {**base, "SHOP_DATABASE_URL": _database(home)}
    (home / "monolith").mkdir()
    split = ["-m", "microservices.cli", "seed", "--data", str(home / "microservices")]
    for arguments, env in ((["-m", "monolith.cli", "seed"], monolith), (split, base)):
        done = subprocess.run(  # noqa: S603 - both shops' own commands
            [sys.executable, *arguments], env=env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BenchError(f"Seeding failed: {(done.stderr or done.stdout).strip()}")
    return time.perf_counter() - started


def _database(home: Path) -> str:
    """The URL of the monolith's database, from which the ORM's product is read too."""
    return sqlite_url(home / "monolith" / "monolith.sqlite3")


def checks(results: Sequence[TargetResult], seeding: float) -> list[Check]:
    """All bars of the endpoints; ratios are of CPU per request. `seeding` is in seconds."""
    named = {each.name: each for each in results}
    floor, mono = named["floor"], named["monolith"]
    behind, split = named["monolith + gateway"], named["microservices + gateway"]
    single = [
        split.costs[journey.name].cpu_us / behind.costs[journey.name].cpu_us
        for journey in ENDPOINTS
        if journey.single_owner
    ]
    mixed = split.costs[MIXED.name].cpu_us / behind.costs[MIXED.name].cpu_us
    product = mono.costs[PRODUCT.name].cpu_us / floor.costs[HELLO.name].cpu_us
    of_single = "CPU of single-owner endpoints, split : monolith"
    return [
        Check("CPU of a product, monolith : hello", product, "", Bar(at_most=2.5)),
        Check("CPU of the mixed journey, split : monolith", mixed, "", Bar(at_most=2.0)),
        Check(f"{of_single} (mean)", geometric_mean(single), "", Bar(at_most=1.4)),
        Check(f"{of_single} (worst)", max(single), "", Bar(at_most=1.4)),
        Check("split until ready", split.ready_seconds, "s", Bar(at_most=4.0)),
        Check("split at rest, with gateway", split.rest_bytes / MEBIBYTE, "MB", Bar(at_most=650)),
        Check("monolith at rest, without gateway", mono.rest_bytes / MEBIBYTE, "MB", Bar(at_most=90)),
        Check("seeding both shops from nothing", seeding, "s", Bar(at_most=20)),
    ]
