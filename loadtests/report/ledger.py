"""The ledger: one row for each claim and each price. The terminal, summary.md and report.html show the same rows.

A row names the bar that was promised before the run, and whether the number meets it: a missed bar reads "missed"
everywhere. A number that is only a bound is shown as one, with the end that the data support.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.text import Text

from loadtests.analysis.stats import Verdict
from loadtests.experiments.bar import Bar
from loadtests.experiments.experiment import Experiment
from loadtests.experiments.metrics import SHOWN_UNITS, amount, to_shown_unit
from loadtests.report.attribution import attribution
from loadtests.report.estimates import AT_LEAST, AT_MOST, DASH, TIMES, confident, sign
from loadtests.report.terminal import column_widths, indented, line

COLUMNS = ("", "experiment", "claim or price", "ratio", "95 % interval", "bar", "verdict")
PRIMARY = " (primary)"
WORTH_TELLING = 4
"""So many intervals of 95 % that one in five runs has a miss."""
SIDES = {"claim": "Claims made for microservices", "price": "Prices paid for them"}
HEADS = ("ratio", "95 % interval", "verdict")
ALIGNED: tuple[JustifyMethod, ...] = ("right", "right", "left")
STYLES = {
    Verdict.SUPPORTED: "green",
    Verdict.NOT_SUPPORTED: "red",
    Verdict.NO_WINNER: "cyan",
    Verdict.INCONCLUSIVE: "yellow",
}
SIGNS = {
    Verdict.SUPPORTED: "✓",
    Verdict.NOT_SUPPORTED: "✗",
    Verdict.NO_WINNER: "=",
    Verdict.INCONCLUSIVE: "?",
}


@dataclass(frozen=True)
class Row:
    """One row of the ledger as text. `missed`: whether the bar was missed, for output that colours it."""

    side: str
    experiment: str
    claim: str
    statement: str
    ratio: str
    interval: str
    bar: str
    missed: bool
    verdict: Verdict
    primary: bool = False
    behind: tuple[str, ...] = ()
    """Where the CPU of its measurements went, a sentence for each."""
    with_void: str = ""
    """The number and the verdict with nothing left out, where trials were void."""

    @property
    def title(self) -> str:
        """The claim, marked if it is a primary one of its experiment."""
        return self.claim + (PRIMARY if self.primary else "")

    @property
    def cells(self) -> tuple[str, ...]:
        """The texts in the order of COLUMNS."""
        what = f"{self.title}: {self.statement}"
        if self.with_void:
            what += f" With nothing left out: {self.with_void}."
        return (self.side, self.experiment, what, self.ratio, self.interval, self.bar, self.verdict.value)


def ledger(results: Mapping[str, Any], experiments: Sequence[Experiment]) -> list[Row]:
    """All rows from results.json: claims first, then prices, each in the order of the experiments."""
    rows = []
    texts = {experiment.name: experiment for experiment in experiments}
    for measured in results["experiments"]:
        claims = texts[measured["name"]].claims
        for claim, verdict in zip(claims, measured["verdicts"], strict=True):
            bar, missed = _bar(claim.bar, verdict)
            rows.append(
                Row(
                    side=claim.side,
                    experiment=measured["name"],
                    claim=verdict["claim"],
                    statement=verdict["statement"],
                    ratio=number(verdict),
                    interval=_interval(verdict),
                    bar=bar,
                    missed=missed,
                    verdict=Verdict(verdict["verdict"]),
                    primary=verdict["primary"],
                    behind=tuple(attribution(texts[measured["name"]], measured, claim)),
                    with_void=_with_void(verdict),
                )
            )
    return sorted(rows, key=lambda row: row.side)


def misses(rows: Sequence[Row]) -> str:
    """What chance does to so many rows, in sentences; "" where there are too few rows for it."""
    others = sum(not row.primary for row in rows)
    told = []
    if others < len(rows):
        told.append("The primary rows are corrected for their number in each experiment.")
    if others >= WORTH_TELLING:
        told.append(
            f"Of the {others} {'other ' if told else ''}intervals, about {others / 20:.1f} miss the true number by "
            "chance."
        )
    return " ".join(told)


def _with_void(verdict: Mapping[str, Any]) -> str:
    found = verdict.get("with_void")
    if not found:
        return ""
    entry = {**found, "unit": verdict.get("unit")}
    return f"{number(entry)} ({_interval(entry)}), {found['verdict']}"


def number(verdict: Mapping[str, Any]) -> str:
    """The number of a verdict with its unit, and with a sign where it is a bound."""
    known = confident(verdict, "ratio")
    if known is None:
        return DASH
    unit = verdict.get("unit")
    return sign(verdict["bound"]) + amount(known, unit) + ("" if unit else f" {TIMES}")


def _interval(verdict: Mapping[str, Any]) -> str:
    unit = verdict.get("unit")
    low, high = (
        None if verdict[end] is None else amount(verdict[end], unit).partition(" ")[0]
        for end in ("low", "high")
    )
    if low is None:
        return "unknown" if high is None else f"{AT_MOST} {high}"
    return f"{low} {DASH} {high}" if high is not None else f"{AT_LEAST} {low}"


def _bar(bar: Bar | None, verdict: Mapping[str, Any]) -> tuple[str, bool]:
    """The bar with "met" or "missed" and whether the interval crosses it; and whether it was missed."""
    if bar is None:
        return "", False
    promised = _promised(bar, verdict.get("unit"))
    if verdict["ratio"] is None:
        return f"{promised}: not measured", True
    known = confident(verdict, "ratio")
    if known is None:
        return f"{promised}: cannot tell", True
    met = bar.holds(known)
    low, high = verdict["low"], verdict["high"]
    ends = (0.0 if low is None else low, math.inf if high is None else high)
    certain = all(bar.holds(end) == met for end in ends)
    return (
        f"{promised}: {'met' if met else 'missed'}{'' if certain else ', interval crosses the bar'}",
        not met,
    )


def _promised(bar: Bar, unit: str | None) -> str:
    """The bar in the unit that its number is shown in."""
    if unit is None:
        return str(bar)
    ends = [None if end is None else to_shown_unit(end, unit) for end in (bar.at_least, bar.at_most)]
    return f"{Bar(*ends)} {SHOWN_UNITS.get(unit, unit)}"


def terminal(rows: Sequence[Row], title: str) -> Group:
    """For the terminal: a line of numbers for each row, and below it the statement, over the whole width."""
    narrow = [(row.ratio, row.interval, f"{SIGNS[row.verdict]} {row.verdict.value}") for row in rows]
    widths = column_widths([*zip(HEADS, *narrow, strict=True)])
    shown: list[RenderableType] = [Text(title, "bold")]
    for side, heading in SIDES.items():
        own = [row for row in rows if row.side == side]
        if own:
            heads = [Text(heading, "bold"), *(Text(head, "dim") for head in HEADS)]
            shown += ["", line(heads, widths, ALIGNED)]
        for row in own:
            verdict = Text(f"{SIGNS[row.verdict]} {row.verdict.value}", STYLES[row.verdict])
            shown += [
                line([_title(row), row.ratio, row.interval, verdict], widths, ALIGNED),
                _statement(row),
            ]
    if told := misses(rows):
        shown += ["", Text(told, "dim")]
    return Group(*shown)


def _title(row: Row) -> Text:
    return Text(row.claim).append(PRIMARY if row.primary else "", "dim")


def _statement(row: Row) -> Padding:
    text = Text(f"{row.experiment}: {row.statement}", "dim")
    if row.bar:
        text.append(" Promised ").append(row.bar, "not dim bold red" if row.missed else "").append(".")
    if row.with_void:
        text.append(f" With nothing left out: {row.with_void}.")
    return indented(text)


def plain(rows: Sequence[Row]) -> str:
    """The rows as lines of text, for a page that shows a ledger as the terminal does."""
    cells = {
        side: [
            (heading, *HEADS, ""),
            *(_plain_cells(row) for row in rows if row.side == side),
        ]
        for side, heading in SIDES.items()
    }
    widths = [
        max(map(len, column))
        for column in zip(*(each for part in cells.values() for each in part), strict=True)
    ]
    return "\n\n".join(
        "\n".join(_plain_line(row, widths) for row in part) for part in cells.values() if len(part) > 1
    )


def _plain_cells(row: Row) -> tuple[str, str, str, str, str]:
    verdict = f"{SIGNS[row.verdict]} {row.verdict.value}"
    return (row.title, row.ratio, row.interval, verdict, f"promised {row.bar}" if row.bar else "")


def _plain_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    title, ratio, interval, verdict, bar = cells
    numbers = f"{ratio.rjust(widths[1])}  {interval.rjust(widths[2])}"
    return f"{title.ljust(widths[0])}  {numbers}  {verdict.ljust(widths[3])}  {bar}".rstrip()


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for row in rows:
        *cells, bar, verdict = row.cells
        lines.append(
            "| " + " | ".join([*cells, f"**{bar}**" if row.missed else bar, f"**{verdict}**"]) + " |"
        )
    told = misses(rows)
    return "\n".join([*lines, *(["", told] if told else [])]) + "\n"
