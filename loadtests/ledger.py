"""The ledger: each claim and each price as one row. The terminal, summary.md and report.html all show these rows.

Rows say what was promised beforehand and whether the number keeps it: a missed bar reads "missed" everywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from loadtests.experiment import Experiment
from loadtests.stats import Bar, Verdict

COLUMNS = ("", "experiment", "claim or price", "ratio", "95 % interval", "bar", "verdict")
DASH, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"
STYLES = {
    Verdict.SUPPORTED: "green",
    Verdict.NOT_SUPPORTED: "red",
    Verdict.NO_WINNER: "cyan",
    Verdict.INCONCLUSIVE: "yellow",
}


@dataclass(frozen=True)
class Row:
    """One line of the ledger, ready to print; `missed` is for those who colour it."""

    side: str
    experiment: str
    claim: str
    statement: str
    ratio: str
    interval: str
    bar: str
    missed: bool
    verdict: Verdict

    @property
    def cells(self) -> tuple[str, ...]:
        """As text, in the order of COLUMNS."""
        what = f"{self.claim}: {self.statement}"
        return (self.side, self.experiment, what, self.ratio, self.interval, self.bar, self.verdict.value)


def ledger(results: Mapping[str, Any], experiments: Sequence[Experiment]) -> list[Row]:
    """All rows: claims first, then prices, each in the order of the experiments."""
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
                    ratio=DASH if verdict["ratio"] is None else f"{verdict['ratio']:.2f} {TIMES}",
                    interval=_interval(verdict),
                    bar=bar,
                    missed=missed,
                    verdict=Verdict(verdict["verdict"]),
                )
            )
    return sorted(rows, key=lambda row: row.side)


def _interval(verdict: Mapping[str, Any]) -> str:
    if verdict["low"] is None or verdict["high"] is None:
        return "unknown"
    return f"{verdict['low']:.2f} {DASH} {verdict['high']:.2f}"


def _bar(bar: Bar | None, verdict: Mapping[str, Any]) -> tuple[str, bool]:
    """The promise, whether the number keeps it, and whether the interval leaves that open."""
    if bar is None:
        return "", False
    if verdict["ratio"] is None:
        return f"{bar}: not measured", True
    met = bar.holds(verdict["ratio"])
    ends = [verdict["low"], verdict["high"]]
    certain = None not in ends and all(bar.holds(end) == met for end in ends)
    return f"{bar}: {'met' if met else 'missed'}{'' if certain else ', interval reaches across'}", not met


def table(rows: Sequence[Row], title: str) -> Table:
    """For the terminal."""
    shown = Table(title=title, title_justify="left", show_lines=True)
    for name in COLUMNS:
        shown.add_column(name, no_wrap=name in ("", "ratio"))
    for row in rows:
        side, experiment, what, ratio, interval, bar, verdict = row.cells
        shown.add_row(
            side,
            experiment,
            what,
            ratio,
            interval,
            Text(bar, "bold red" if row.missed else ""),
            Text(verdict, STYLES[row.verdict]),
        )
    return shown


def markdown(rows: Sequence[Row]) -> str:
    """As a Markdown table."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for row in rows:
        *cells, bar, verdict = row.cells
        lines.append(
            "| " + " | ".join([*cells, f"**{bar}**" if row.missed else bar, f"**{verdict}**"]) + " |"
        )
    return "\n".join(lines) + "\n"
