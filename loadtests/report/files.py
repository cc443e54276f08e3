"""Writes a run's results.json, summary.md and report.html into its folder."""

import json
from dataclasses import dataclass
from pathlib import Path

from loadtests.report import ledger
from loadtests.report.page import html, summary
from loadtests.running.folder import Notes, RunError, read_run


@dataclass(frozen=True)
class Report:
    """A written report: its page, and what the terminal shows of it."""

    page: Path
    rows: list[ledger.Row]
    notes: Notes


def page_of(folder: Path) -> Path:
    """Where the page of the run in this folder is, or will be."""
    return folder / "report.html"


def write_report(folder: Path) -> Report:
    """Make the report from the raw files of a run; RunError when there is nothing to report."""
    done = read_run(folder)
    if not any(each["trials"] for each in done.results["experiments"]):
        raise RunError(f"No trial in {folder} was finished, so there is nothing to report.")
    (folder / "results.json").write_text(json.dumps(done.results, indent=1) + "\n", encoding="utf-8")
    parts = (done.results, done.experiments, done.notes)
    (folder / "summary.md").write_text(summary(*parts), encoding="utf-8")
    page_of(folder).write_text(html(*parts), encoding="utf-8")
    return Report(page_of(folder), ledger.ledger(done.results, done.experiments), done.notes)
