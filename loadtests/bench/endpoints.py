"""What a request costs: `python -m loadtests.bench` (`make bench`), CPU microseconds and requests/s per endpoint.

One run measures a bare Flask hello (the floor), a product that bare Flask reads by an ORM session, the monolith without
and with the gateway, and the split with all its processes and the gateway added up. Each endpoint is asked one at a
time for its CPU, then by four connections for its rate. What a target burns while nobody asks (probes, polling) is
measured first and taken off, and shown. Before the shops, the lab's own instruments are held to their bars: generator,
slices, analysis (`--instruments` for these alone).

All targets are up at the same time and take turns, endpoint by endpoint, in three rounds; what is shown is the median.
A machine's mood changes within a minute: measured one after the other, the same code gave ratios from 1.9 to 2.6.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from loadtests.analysis.summaries import geometric_mean
from loadtests.bench.bars import MEBIBYTE, Check, check_table
from loadtests.bench.client import BadAnswerError, Connection
from loadtests.bench.journeys import ENDPOINTS, MIXED, PRODUCT, Journey, Shopper, sign_in
from loadtests.experiments.bar import Bar
from loadtests.load.shelf import learn
from loadtests.rig.machine import facts, forget_settings
from loadtests.rig.processes import cpu_seconds, own_memory
from microservices.launcher import MONOLITH, SPLIT, Fleet, LauncherError
from microservices.topology import Service, Topology

FLOOR = Topology(
    "floor",
    (Service("hello", ("-m", "loadtests.bench.floor", "{host}", "{port}"), ("/",), has_database=False),),
)
ORM = Topology(
    "orm-session", (Service("product", ("-m", "loadtests.bench.orm", "{host}", "{port}"), ("/",)),)
)
HELLO = Journey("hello", lambda connection, _shopper: _discard(connection.ask("GET", "/api/hello")))
CONNECTIONS = 4
ROUNDS = 3
SETTLE_SECONDS = 1.0
INSTRUMENT_SECONDS = 4.0


@dataclass(frozen=True)
class Cost:
    """Of one journey on one target."""

    cpu_us: float
    per_second: float


@dataclass
class Measured:
    """One target: a shop behind the gateway, or a replica asked directly."""

    name: str
    ready_seconds: float = 0.0
    rest_bytes: int = 0
    idle_cores: float = 0.0
    rounds: dict[str, list[Cost]] = field(default_factory=dict)

    def add(self, journey: str, cost: Cost) -> None:
        """One more round's cost of a journey."""
        self.rounds.setdefault(journey, []).append(cost)

    @property
    def costs(self) -> dict[str, Cost]:
        """The median over the rounds, by journey."""
        return {
            name: Cost(median(cost.cpu_us for cost in rounds), median(cost.per_second for cost in rounds))
            for name, rounds in self.rounds.items()
        }


def _discard(_body: bytes) -> None:
    """An answer that only had to be given."""


class Target:
    """Something to ask at `url`, and the processes whose CPU that costs."""

    def __init__(self, name: str, url: str, pids: Sequence[int]) -> None:
        self.measured = Measured(name)
        self.url = url
        self._pids = pids

    def used(self) -> float:
        """CPU seconds of all its processes so far."""
        return sum(cpu_seconds(pid) for pid in self._pids)

    def rest(self) -> None:
        """Look at it while nobody asks."""
        time.sleep(SETTLE_SECONDS)
        self.measured.rest_bytes = sum(own_memory(pid) for pid in self._pids)
        before, since = self.used(), time.perf_counter()
        time.sleep(SETTLE_SECONDS)
        self.measured.idle_cores = (self.used() - before) / (time.perf_counter() - since)

    def measure(self, journey: Journey, shoppers: Sequence[Shopper], seconds: float) -> None:
        """CPU of one connection asking, then the rate of all of them."""
        self._loop(journey, shoppers[:1], seconds / 4)  # first calls fill caches and make connections
        before, since = self.used(), time.perf_counter()
        count = self._loop(journey, shoppers[:1], seconds)
        elapsed = time.perf_counter() - since
        cpu = self.used() - before - self.measured.idle_cores * elapsed
        since = time.perf_counter()
        many = self._loop(journey, shoppers, seconds)
        rate = many / (time.perf_counter() - since)
        self.measured.add(journey.name, Cost(max(cpu, 0.0) / count * 1e6, rate))

    def _loop(self, journey: Journey, shoppers: Sequence[Shopper], seconds: float) -> int:
        """Go on the journey again and again on as many connections; returns how often it was made."""
        end = time.perf_counter() + seconds
        counts: list[int] = []
        failed: list[Exception] = []

        def repeat(shopper: Shopper) -> None:
            count = 0
            try:
                with Connection(self.url) as connection:
                    while count == 0 or time.perf_counter() < end:
                        journey.go(connection, shopper)
                        count += 1
            except (BadAnswerError, OSError) as error:
                failed.append(error)
            counts.append(count)

        threads = [threading.Thread(target=repeat, args=(shopper,)) for shopper in shoppers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise BadAnswerError(f"{self.measured.name}, {journey.name}: {failed[0]}")
        return sum(counts)


@contextmanager
def _targets(topology: Topology, home: Path, **env: str) -> Iterator[list[Target]]:
    """Boot a topology: its targets are the replica itself where there is only one service, and the gateway."""
    started = time.perf_counter()
    with Fleet(topology, data_dir=home / topology.name, home=home, env=env) as fleet:
        ready = time.perf_counter() - started
        replicas = fleet.replicas()
        pids = [pid for replica in replicas for pid in replica.pids()]
        found = [Target(f"{topology.name} + gateway", fleet.url, [*pids, fleet.gateway])]
        if len(replicas) == 1:
            found.insert(0, Target(topology.name, f"http://127.0.0.1:{replicas[0].port}", pids))
        for target in found:
            target.measured.ready_seconds = ready
            target.rest()
        yield found


def run(seconds: float, show: Callable[[str], None]) -> tuple[list[Measured], float]:
    """Measure everything; returns the targets and the seconds that seeding took."""
    with tempfile.TemporaryDirectory(prefix="shop-bench-") as folder, ExitStack() as running:
        home = Path(folder)
        show("seeding both shops from nothing")
        seeding = _seed(home)
        targets: list[list[Target]] = []
        for topology in (FLOOR, ORM, MONOLITH, SPLIT):
            show(f"booting {topology.name}")
            url = {"SHOP_DATABASE_URL": _database(home)} if topology is ORM else {}
            targets.append(running.enter_context(_targets(topology, home, **url)))
        floors, orms, *shops = targets
        _take_turns(floors, orms, [target for each in shops for target in each], seconds, show)
        return [target.measured for each in targets for target in each], seeding


def _take_turns(
    floors: Sequence[Target],
    orms: Sequence[Target],
    shops: Sequence[Target],
    seconds: float,
    show: Callable[[str], None],
) -> None:
    nobody = [Shopper((), "")] * CONNECTIONS
    customers = [_customers(target) for target in shops]
    strangers = [Shopper(shopper.skus, "") for shopper in customers[0]]
    for number in range(ROUNDS):
        for target in floors:
            target.measure(HELLO, nobody, seconds)
        for target in orms:
            target.measure(PRODUCT, strangers, seconds)
        for journey in (*ENDPOINTS, MIXED):
            show(f"round {number + 1} of {ROUNDS}: {journey.name}")
            for target, shoppers in zip(shops, customers, strict=True):
                target.measure(journey, shoppers, seconds)


def _customers(target: Target) -> list[Shopper]:
    skus = learn(target.url).skus
    return [Shopper(skus, sign_in(target.url, number)) for number in range(CONNECTIONS)]


def _seed(home: Path) -> float:
    """Seed both shops without any cache; returns the seconds."""
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
            raise BadAnswerError(f"Seeding failed: {(done.stderr or done.stdout).strip()}")
    return time.perf_counter() - started


def _database(home: Path) -> str:
    """The monolith's, which the ORM's product is read from as well."""
    return f"sqlite:///{home}/monolith/monolith.sqlite3"


def cost_table(measured: Sequence[Measured]) -> Table:
    """CPU and rate per endpoint, with the ratios that the bars are about."""
    table = Table(
        title="CPU microseconds per request (requests/s with four connections)", title_justify="left"
    )
    for name in ("endpoint", *(each.name for each in measured if each.name.startswith(("mono", "micro")))):
        table.add_column(name, justify="left" if name == "endpoint" else "right")
    table.add_column("split : monolith", justify="right")
    shops = [each for each in measured if each.name.startswith(("mono", "micro"))]
    for each in measured:
        if each not in shops:
            for what, cost in each.costs.items():
                table.add_row(f"{what} ({each.name})", f"{cost.cpu_us:.0f} ({cost.per_second:.0f})")
    table.add_section()
    for journey in (*ENDPOINTS, MIXED):
        costs = [shop.costs[journey.name] for shop in shops]
        cells = [f"{cost.cpu_us:.0f} ({cost.per_second:.0f})" for cost in costs]
        table.add_row(journey.name, *cells, f"{costs[-1].cpu_us / costs[-2].cpu_us:.2f}")
    return table


def checks(measured: Sequence[Measured], seeding: float) -> list[Check]:
    """All bars of the bench."""
    named = {each.name: each for each in measured}
    floor, mono = named["floor"], named["monolith"]
    behind, split = named["monolith + gateway"], named["microservices + gateway"]
    single = [
        split.costs[journey.name].cpu_us / behind.costs[journey.name].cpu_us
        for journey in ENDPOINTS
        if journey.single_owner
    ]
    mixed = split.costs[MIXED.name].cpu_us / behind.costs[MIXED.name].cpu_us
    product = mono.costs[PRODUCT.name].cpu_us / floor.costs[HELLO.name].cpu_us
    return [
        Check("CPU of a product, monolith : hello", product, "", Bar(at_most=2.5)),
        Check("CPU of the mixed journey, split : monolith", mixed, "", Bar(at_most=2.0)),
        Check(
            "CPU of single-owner endpoints, split : monolith (mean)",
            geometric_mean(single),
            "",
            Bar(at_most=1.4),
        ),
        Check("CPU of single-owner endpoints, split : monolith (worst)", max(single), "", Bar(at_most=1.4)),
        Check("fleet of the split ready", split.ready_seconds, "s", Bar(at_most=4.0)),
        Check("split at rest, gateway included", split.rest_bytes / MEBIBYTE, "MB", Bar(at_most=650)),
        Check("monolith at rest, no gateway", mono.rest_bytes / MEBIBYTE, "MB", Bar(at_most=90)),
        Check("seeding both shops from nothing", seeding, "s", Bar(at_most=20)),
    ]


def rest_table(measured: Sequence[Measured]) -> Table:
    """What each target is while nobody asks."""
    table = Table("at rest", "ready after s", "memory MB", "idle CPU % of a core", title_justify="left")
    for each in measured:
        memory = f"{each.rest_bytes / MEBIBYTE:.0f}"
        table.add_row(each.name, f"{each.ready_seconds:.1f}", memory, f"{each.idle_cores * 100:.1f}")
    return table


def instrument_checks(show: Callable[[str], None], seconds: float) -> list[Check]:
    """What the lab's own instruments are worth; they need the machine for themselves, so before any shop is up."""
    from loadtests.bench import generator, million, slicing

    found: list[Check] = []
    with tempfile.TemporaryDirectory(prefix="shop-bench-") as folder:
        show("the generator at full speed")
        found += generator.checks(Path(folder), seconds)
        show("slices of busy processes")
        found += slicing.checks(seconds)
        show("the analysis of a million requests")
        (Path(folder) / "million").mkdir()
        found += million.checks(Path(folder) / "million")
    return found


def as_json(measured: Sequence[Measured], found: Sequence[Check]) -> dict[str, Any]:
    """Everything that the tables show, for machines."""
    return {
        "machine": facts("none"),
        "targets": [
            {
                "name": each.name,
                "ready_seconds": each.ready_seconds,
                "rest_bytes": each.rest_bytes,
                "idle_cores": each.idle_cores,
                "journeys": {name: asdict(cost) for name, cost in each.costs.items()},
            }
            for each in measured
        ],
        "bars": [check.as_json() for check in found],
    }


@click.command()
@click.option(
    "--seconds", default=0.3, show_default=True, help="How long each endpoint is asked, twice a round."
)
@click.option("--instruments", is_flag=True, help="Only the lab's own instruments, no shop.")
@click.option(
    "--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write all numbers to FILE too."
)
def main(seconds: float, instruments: bool, file: Path | None) -> None:
    """Measure what a request costs in both shops, against a bare hello, and what the lab's instruments are worth."""
    console = Console()
    forget_settings()
    measured: list[Measured] = []
    try:
        with console.status("starting") as status:
            own = instrument_checks(status.update, INSTRUMENT_SECONDS)
            shops: list[Check] = []
            if not instruments:
                measured, seeding = run(seconds, status.update)
                shops = checks(measured, seeding)
    except (BadAnswerError, LauncherError) as error:
        raise click.ClickException(str(error)) from error
    if measured:
        console.print(cost_table(measured), rest_table(measured), check_table(shops))
        console.print(
            f"Medians of {ROUNDS} rounds in turn: take a tenth more or less for the same.", style="dim"
        )
    console.print(check_table(own, "The lab's instruments"))
    busy = os.getloadavg()[0] - 1
    if busy > (os.cpu_count() or 1) / 2:
        console.print(f"Doubt: other work kept about {busy:.0f} cores busy meanwhile.", style="yellow")
    if file:
        file.write_text(json.dumps(as_json(measured, [*shops, *own]), indent=1) + "\n", encoding="utf-8")
