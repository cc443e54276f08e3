"""The published runs in docs/results/: the README's ledger, and the table of the runs.

`loadtests publish RUN docs/results/NAME` adds a run; `docs.made` puts these texts into the pages.
"""  # noqa: INP001 -- docs/ is no package: this is run from a checkout, never installed

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from loadtests.report.ledger import Row, ledger, plain
from loadtests.running.folder import Notes, read_texts

RESULTS = Path(__file__).resolve().parent / "results"
SHOWN_FIRST = "demo"
"""The run whose ledger the README shows: anybody can repeat it within five minutes."""
GIB = 2**30


def readme_ledger() -> str:
    """The ledger of the run that the README shows, with its conditions."""
    notes, rows, results = _published(RESULTS / SHOWN_FIRST)
    return f"```text\n{plain(rows)}\n```\n\n{_conditions(notes, results['machine'])}\n"


def runs() -> str:
    """A table of the published runs, and the primary rows of each."""
    parts = [_section(folder) for folder in sorted(RESULTS.iterdir()) if (folder / "run.json").exists()]
    return "\n".join(parts)


def _published(folder: Path) -> tuple[Notes, list[Row], Mapping[str, Any]]:
    notes, experiments = read_texts(folder)
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return notes, ledger(results, experiments), results


def _conditions(notes: Notes, machine: Mapping[str, Any]) -> str:
    repeats = ", ".join(f"{name} {count}" for name, count in notes["repeats"].items())
    form = "short form" if notes["form"] == "demo" else "full form"
    return (
        f"`{notes['command']}`, {notes['started'][:10]}, {form}, {machine['cores']:g} cores of {machine['cpu_model']}, "
        f"{machine['memory_bytes'] / GIB:.0f} GiB, {machine['os'].partition(' ')[0]}, {machine['python']}. "
        f"Repeats: {repeats}."
    )


def _section(folder: Path) -> str:
    notes, rows, results = _published(folder)
    return "\n".join(
        [
            f"## {folder.name}",
            "",
            _conditions(notes, results["machine"]),
            _links(folder.name),
            "",
            *_primary(rows),
            "",
        ]
    )


def _links(name: str) -> str:
    return (
        f"Files: [report]({name}/report.html), [summary]({name}/summary.md), [numbers]({name}/results.json)."
    )


def _primary(rows: list[Row]) -> Iterator[str]:
    yield "| experiment | primary claim or price | ratio | 95 % interval | bar | verdict |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        if row.primary:
            cells = (row.experiment, row.statement, row.ratio, row.interval, row.bar, row.verdict.value)
            yield "| " + " | ".join(cells) + " |"
