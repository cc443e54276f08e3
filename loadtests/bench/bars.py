"""Promised numbers and what was measured: the tables and the JSON of the benchmark."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from loadtests.experiments.bar import Bar

MEBIBYTE = 2**20


@dataclass(frozen=True)
class Check:
    """A promised bar and what was measured."""

    what: str
    value: float
    unit: str
    bar: Bar

    @property
    def met(self) -> bool:
        """Whether the bar is kept."""
        return self.bar.holds(self.value)

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "what": self.what,
            "measured": float(f"{self.value:.5g}"),
            "unit": self.unit,
            "bar": str(self.bar),
            "met": self.met,
        }


def check_table(found: Sequence[Check], title: str = "Bars") -> Table:
    """Bars, met and missed alike."""
    table = Table("what", "measured", "bar", "", title=title, title_justify="left")
    for check in found:
        said = Text("met", "green") if check.met else Text("missed", "bold red")
        table.add_row(check.what, f"{check.value:.2f} {check.unit}", f"{check.bar} {check.unit}", said)
    return table
