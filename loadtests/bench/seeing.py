"""What seeing costs: CPU of the same request with traces and without, in both shops behind the gateway.

Each shop runs twice at the same time, on copies of the same data; all four take turns. The CPU of the collector that
receives the traces is not counted: it may be anywhere.
"""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from rich.table import Table

from loadtests.bench.client import BenchError
from loadtests.bench.journeys import BUY, PRODUCT, Journey, Shopper
from loadtests.bench.targets import Target, booted
from microservices.launcher import MONOLITH, SPLIT

JOURNEYS = (PRODUCT, BUY)
SECONDS = 2.0
"""Spans are sent half a second after they ended. So this is several times as long, and what is sent late at the end is
made up by what is sent late from the warm-up."""
ROUNDS = 3
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@dataclass(frozen=True)
class Seen:
    """CPU microseconds of one journey on one shop, without traces and with them."""

    journey: str
    shop: str
    off_us: float
    on_us: float


def is_installed() -> bool:
    """Whether the packages are there that trace requests."""
    return find_spec("opentelemetry") is not None


def run(home: Path, customers: Callable[[Target], list[Shopper]], show: Callable[[str], None]) -> list[Seen]:
    """Measure both shops, with the seeded data in `home`, of which a copy is made below it."""
    other = home / "traced"
    shutil.copytree(home, other, ignore=shutil.ignore_patterns("traced", "run"))
    with ExitStack() as running:
        url = running.enter_context(_collector(other))
        pairs = []
        for topology in (MONOLITH, SPLIT):
            show(f"booting {topology.name} with traces and without")
            off = running.enter_context(booted(topology, home))[-1]
            on = running.enter_context(booted(topology, other, **{ENDPOINT: url}))[-1]
            pairs.append((off, on))
        _measure(pairs, customers, show)
    return [_seen(journey, *pair) for journey in JOURNEYS for pair in pairs]


def table(results: Sequence[Seen]) -> Table:
    """With and without, and how much more."""
    made = Table("endpoint", "shop", title="What seeing costs: CPU microseconds", title_justify="left")
    for name in ("without traces", "with traces", "more"):
        made.add_column(name, justify="right")
    for seen in results:
        more = f"{seen.on_us - seen.off_us:+.0f} ({seen.on_us / seen.off_us:.2f} times)"
        made.add_row(seen.journey, seen.shop, f"{seen.off_us:.0f}", f"{seen.on_us:.0f}", more)
    return made


def _measure(
    pairs: Sequence[tuple[Target, Target]],
    customers: Callable[[Target], list[Shopper]],
    show: Callable[[str], None],
) -> None:
    targets = [target for pair in pairs for target in pair]
    shoppers = [customers(target) for target in targets]
    for number in range(ROUNDS):
        for journey in JOURNEYS:
            show(f"what seeing costs, round {number + 1} of {ROUNDS}: {journey.name}")
            for target, own in zip(targets, shoppers, strict=True):
                target.measure(journey, own, SECONDS)


def _seen(journey: Journey, off: Target, on: Target) -> Seen:
    costs = [target.result.costs[journey.name].cpu_us for target in (off, on)]
    return Seen(journey.name, off.result.name, *costs)


@contextmanager
def _collector(home: Path) -> Iterator[str]:
    """Receive traces while the block runs; yields the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "microservices.cli", "collector", "--port", str(port)]
    env = {**os.environ, "SHOP_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    try:
        assert process.stdout is not None
        if ENDPOINT not in process.stdout.readline():
            raise BenchError("The collector of traces did not start; try: microservices collector")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate()
