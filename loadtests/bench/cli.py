"""`python -m loadtests.bench` (`make bench`): both shops' endpoints and the lab's instruments against their bars.

The instruments (generator, slices, analysis) are measured first, because they need the machine for themselves.
`--instruments` measures these alone. What traces cost is measured last, `--seeing` measures it alone.
"""

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from loadtests.bench import calls, endpoints, generator, million, seeing, slicing
from loadtests.bench.bars import Check, check_table
from loadtests.bench.client import BenchError
from loadtests.bench.tables import cost_table, rest_table
from loadtests.bench.targets import TargetResult
from loadtests.rig.cpus import taken_from_us, usable_cpus
from loadtests.rig.machine import clear_shop_settings, facts
from microservices.launcher import LauncherError

INSTRUMENT_SECONDS = 4.0
NOT_SEEN = "What seeing costs was not measured; install the packages that trace requests: make extras"


@click.command()
@click.option(
    "--seconds",
    default=0.3,
    show_default=True,
    help="How long each endpoint gets requests, twice in each round.",
)
@click.option("--instruments", is_flag=True, help="Only the lab's own instruments, no shop.")
@click.option("--seeing", "only_seeing", is_flag=True, help="Only what traces cost.")
@click.option(
    "--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write all numbers to FILE too."
)
def main(seconds: float, instruments: bool, only_seeing: bool, file: Path | None) -> None:
    """Measure what a request costs in both shops, compared with a bare hello, and how good the instruments are."""
    console = Console()
    clear_shop_settings()
    results: list[TargetResult] = []
    called: list[calls.CallCost] = []
    seen: list[seeing.Seen] = []
    own: list[Check] = []
    shops: list[Check] = []
    try:
        with console.status("starting") as status, ExitStack() as stack:
            if not only_seeing:
                own = instrument_checks(status.update, INSTRUMENT_SECONDS)
            if not instruments:
                home, seeding = stack.enter_context(endpoints.seeded(status.update))
                if not only_seeing:
                    called = calls.run(home, status.update)
                    results = endpoints.run(home, seconds, status.update)
                    shops = [*endpoints.checks(results, seeding), *calls.checks(called, results)]
                if seeing.is_installed():
                    seen = seeing.run(home, endpoints.customers, status.update)
    except (BenchError, LauncherError) as error:
        raise click.ClickException(str(error)) from error
    if results:
        console.print(cost_table(results), calls.table(called, results))
        console.print(rest_table(results), check_table(shops))
        console.print(
            f"Medians of {endpoints.ROUNDS} rounds; a difference of a tenth is within the noise.", style="dim"
        )
    if not instruments:
        console.print(seeing.table(seen) if seen else NOT_SEEN)
    if own:
        console.print(check_table(own, "The lab's instruments"))
    _warn_if_busy(console)
    if file:
        document = as_json(results, [*shops, *own], seen) | {"calls": calls.as_json(called)}
        file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def instrument_checks(show: Callable[[str], None], seconds: float) -> list[Check]:
    """The bars of the lab's instruments; no shop may run meanwhile."""
    checks: list[Check] = []
    with tempfile.TemporaryDirectory(prefix="shop-bench-") as name:
        folder = Path(name)
        show("the generator at full speed")
        checks += generator.checks(folder, seconds)
        show("slices of busy processes")
        checks += slicing.checks(seconds)
        show("the analysis of a million requests")
        (folder / "million").mkdir()
        checks += million.checks(folder / "million")
    return checks


def as_json(
    results: Sequence[TargetResult], checks: Sequence[Check], seen: Sequence[seeing.Seen] = ()
) -> dict[str, Any]:
    """All numbers of the tables, and the facts of the machine."""
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
            for each in results
        ],
        "bars": [check.as_json() for check in checks],
        "seeing": [asdict(each) for each in seen],
    }


def _warn_if_busy(console: Console) -> None:
    busy = taken_from_us(os.getloadavg()[0] - 1)
    if busy > usable_cpus() / 2:
        console.print(f"Doubt: other work kept about {busy:.0f} cores busy meanwhile.", style="yellow")
