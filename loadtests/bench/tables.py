"""The tables of the endpoints: what a request costs, and what each target needs at rest."""

from collections.abc import Sequence

from rich.table import Table

from loadtests.bench.bars import MEBIBYTE
from loadtests.bench.journeys import ENDPOINTS, MIXED
from loadtests.bench.targets import TargetResult


def cost_table(results: Sequence[TargetResult]) -> Table:
    """CPU and rate per endpoint, with the ratio of the split to the monolith behind the gateway."""
    table = Table(
        title="CPU microseconds per request (requests/s with four connections)", title_justify="left"
    )
    shops = [each for each in results if each.name.startswith(("mono", "micro"))]
    for name in ("endpoint", *(each.name for each in shops)):
        table.add_column(name, justify="left" if name == "endpoint" else "right")
    table.add_column("split : monolith", justify="right")
    for each in results:
        if each not in shops:
            for what, cost in each.costs.items():
                table.add_row(f"{what} ({each.name})", f"{cost.cpu_us:.0f} ({cost.per_second:.0f})")
    table.add_section()
    for journey in (*ENDPOINTS, MIXED):
        costs = [shop.costs[journey.name] for shop in shops]
        cells = [f"{cost.cpu_us:.0f} ({cost.per_second:.0f})" for cost in costs]
        table.add_row(journey.name, *cells, f"{costs[-1].cpu_us / costs[-2].cpu_us:.2f}")
    return table


def rest_table(results: Sequence[TargetResult]) -> Table:
    """Start time, memory and CPU of each target without requests."""
    table = Table("at rest", "ready after s", "memory MB", "idle CPU % of a core", title_justify="left")
    for each in results:
        memory = f"{each.rest_bytes / MEBIBYTE:.0f}"
        table.add_row(each.name, f"{each.ready_seconds:.1f}", memory, f"{each.idle_cores * 100:.1f}")
    return table
