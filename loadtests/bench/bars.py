"""Promised numbers and measured ones: the table and the JSON of the benchmark."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from loadtests.experiments.bar import Bar

MEBIBYTE = 2**20


@dataclass(frozen=True)
class Check:
    """A measured value and the bar that was promised for it, both in `unit`."""

    what: str
    value: float
    unit: str
    bar: Bar

    @property
    def met(self) -> bool:
        """Whether the value meets the bar."""
        return self.bar.holds(self.value)

    def as_json(self) -> dict[str, Any]:
        """An entry of `bars` in the benchmark's JSON."""
        return {
            "what": self.what,
            "measured": float(f"{self.value:.5g}"),
            "unit": self.unit,
            "bar": str(self.bar),
            "met": self.met,
        }


def check_table(checks: Sequence[Check], title: str = "Bars") -> Table:
    """All bars, met or missed."""
    table = Table("what", "measured", "bar", "", title=title, title_justify="left")
    for check in checks:
        verdict = Text("met", "green") if check.met else Text("missed", "bold red")
        table.add_row(check.what, f"{check.value:.2f} {check.unit}", f"{check.bar} {check.unit}", verdict)
    return table
