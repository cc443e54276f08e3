"""The pair in a terminal: side by side if it is wide enough, otherwise one side below the other."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .pairs import CHANGED_LINE, FilePair, ModulePair

SIDE_BY_SIDE = 120
"""Columns of the terminal from which the two sides are shown beside each other."""
MONOLITH, SPLIT = "red", "green"


def show_totals(pairs: Sequence[ModulePair], console: Console) -> None:
    """One line for each module."""
    table = Table()
    table.add_column("module", no_wrap=True)
    for heading in ("files in both", "changed lines", "only in the monolith", "only in the split"):
        table.add_column(heading)
    for pair in pairs:
        alone = (", ".join(pair.only_monolith) or "-", ", ".join(pair.only_split) or "-")
        table.add_row(pair.name, str(len(pair.files)), str(pair.changed), *alone)
    table.add_section()
    table.add_row(
        "all", str(sum(len(pair.files) for pair in pairs)), str(sum(pair.changed for pair in pairs))
    )
    console.print(table)
    console.print(CHANGED_LINE)


def show(pair: ModulePair, console: Console) -> None:
    """The counts, then every change of every file."""
    table = Table("file", "changed lines")
    for file in pair.files:
        table.add_row(file.name, str(file.changed))
    table.add_section()
    table.add_row("all", str(pair.changed))
    console.print(table)
    console.print(f"Only in the monolith: {', '.join(pair.only_monolith) or 'no file'}.")
    console.print(f"Only in the split: {', '.join(pair.only_split) or 'no file'}.")
    console.print(CHANGED_LINE)
    for file in pair.files:
        if file.changed:
            console.print()
            console.rule(f"{pair.name}/{file.name} ({file.changed})", align="left", characters="=")
            console.print(_beside(file) if console.width >= SIDE_BY_SIDE else _below(file))


def _beside(file: FilePair) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), expand=True)
    for heading, ratio in (("", None), ("monolith", 1), ("", None), ("", None), ("split", 1)):
        table.add_column(heading, ratio=ratio, overflow="fold")
    for stretch in file.stretches:
        if not stretch.is_change:
            table.add_row("", f"... {len(stretch.blocks[0].left)} equal lines", style="dim")
            continue
        for block in stretch.blocks:
            for sign, left_number, left, right_number, right in block.rows():
                table.add_row(
                    str(left_number or ""),
                    Text(left, "" if block.equal else MONOLITH),
                    "" if block.equal else sign,
                    str(right_number or ""),
                    Text(right, "" if block.equal else SPLIT),
                )
    return table


def _below(file: FilePair) -> Text:
    text = Text("- in the monolith, + in the split\n", "dim")
    for stretch in file.stretches:
        if not stretch.is_change:
            text.append(f"  ... {len(stretch.blocks[0].left)} equal lines\n", "dim")
            continue
        for block in stretch.blocks:
            if block.equal:
                text.append("".join(f"  {line}\n" for line in block.left))
                continue
            text.append("".join(f"- {line}\n" for line in block.left), MONOLITH)
            text.append("".join(f"+ {line}\n" for line in block.right), SPLIT)
    return text
