"""Runs and reports at the terminal: what the commands of `loadtests.cli` share."""

import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from loadtests.experiments.experiment import Experiment
from loadtests.planning.plan import plan
from loadtests.planning.remaining import Span, fresh_searches, span_of

if TYPE_CHECKING:
    from loadtests.running.options import Options, Show

RUNS = Path("runs")
INTERRUPTED = 130  # the exit status that a shell reports for Ctrl-C


def start_run(chosen: Sequence[Experiment], options: "Options") -> Path:
    """Run experiments in a new folder of `runs`; returns the page of the report."""
    from loadtests.rig.machine import facts
    from loadtests.running import runner
    from loadtests.running.until import forecast

    folder = RUNS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{options.form}"
    names = ", ".join(each.name for each in chosen)
    Console().print(f"{names}: {planned_span(chosen, options.share)}.")
    if options.until:
        said = forecast(RUNS, chosen[0], options.form, facts(""), options.until)
        Console().print(said, highlight=False, markup=False)
    return run_and_report(folder, lambda show: runner.run(chosen, folder, options, show))


def run_and_report(folder: Path, work: "Callable[[Show], None]") -> Path:
    """Do the work of a run and show its progress, then its ledger; returns the page of the report.

    Exits with status 130 when the run was stopped early.
    """
    from loadtests.report.files import page_of
    from loadtests.rig.live import ProgressDisplay

    # SIGTERM ends the lab as Ctrl-C does, so that no shop is left running.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console()
    console.print(f"The report will be at {url(page_of(folder))}", soft_wrap=True)
    with ProgressDisplay(console) as display:
        work(lambda step: display.step(f"{step.text} ({step.left} left)", step.trials))
    if show_report(folder, console):
        console.print("[yellow]Stopped early: these are the results so far.[/]")
        console.print(f"Go on with: loadtests run --resume {folder}", soft_wrap=True)
        sys.exit(INTERRUPTED)
    return page_of(folder)


def show_report(folder: Path, console: Console) -> bool:
    """Write the report of a run and show its ledger; returns whether the run was stopped early."""
    from loadtests.report import ledger
    from loadtests.report.files import write_report

    report = write_report(folder)
    console.print(ledger.terminal(report.rows, "Claims and prices"))
    missed = sum(row.missed for row in report.rows)
    if missed:
        console.print(f"[bold red]{missed} of the promised bars missed.[/]")
    console.print(f"The report is at {url(report.page)}", soft_wrap=True)
    return bool(report.notes["stopped_early"])


def url(file: Path) -> str:
    """The file as an address that a terminal shows as a link."""
    return file.absolute().as_uri()


def planned_span(chosen: Sequence[Experiment], share: bool = False) -> Span:
    """About how many seconds the experiments take; `share` as in `plan`."""
    trials = plan(chosen, share=share)
    return span_of(trials, fresh_searches(trials, chosen))
