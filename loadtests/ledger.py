"""The ledger: each claim and each price as one row. The terminal, summary.md and report.html all show these rows.

Rows say what was promised beforehand and whether the number keeps it: a missed bar reads "missed" everywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.text import Text

from loadtests.experiment import Experiment
from loadtests.stats import Bar, Verdict
from loadtests.terminal import below, line
from loadtests.terminal import widths as widths_of

COLUMNS = ("", "experiment", "claim or price", "ratio", "95 % interval", "bar", "verdict")
DASH, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"
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


def terminal(rows: Sequence[Row], title: str) -> Group:
    """For the terminal: a line of numbers for each row, and below it, over the whole width, what they say."""
    narrow = [(row.ratio, row.interval, f"{SIGNS[row.verdict]} {row.verdict.value}") for row in rows]
    widths = widths_of([*zip(HEADS, *narrow, strict=True)])
    shown: list[RenderableType] = [Text(title, "bold")]
    for side, heading in SIDES.items():
        own = [row for row in rows if row.side == side]
        if own:
            heads = [Text(heading, "bold"), *(Text(head, "dim") for head in HEADS)]
            shown += ["", line(heads, widths, ALIGNED)]
        for row in own:
            verdict = Text(f"{SIGNS[row.verdict]} {row.verdict.value}", STYLES[row.verdict])
            shown += [line([Text(row.claim), row.ratio, row.interval, verdict], widths, ALIGNED), _said(row)]
    return Group(*shown)


def _said(row: Row) -> Padding:
    text = Text(f"{row.experiment}: {row.statement}", "dim")
    if row.bar:
        text.append(" Promised ").append(row.bar, "not dim bold red" if row.missed else "").append(".")
    return below(text)


def markdown(rows: Sequence[Row]) -> str:
    """As a Markdown table."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for row in rows:
        *cells, bar, verdict = row.cells
        lines.append(
            "| " + " | ".join([*cells, f"**{bar}**" if row.missed else bar, f"**{verdict}**"]) + " |"
        )
    return "\n".join(lines) + "\n"
