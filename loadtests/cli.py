"""The `loadtests` command: list, run, demo, report, compare, selftest."""

import functools
import json
import shlex
import signal
import sys
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from loadtests.experiments import experiment as experiments
from loadtests.experiments.experiment import Experiment, ExperimentError
from loadtests.experiments.kinds import Kind
from loadtests.planning.plan import plan
from loadtests.rig.machine import clear_shop_settings

if TYPE_CHECKING:
    from loadtests.running.options import Options, Step

DEMO = ("tax", "scale-hot", "spike")
DEMO_ATTEMPTS = 2
DEMO_SECONDS = 200.0
RUNS = Path("runs")
REPORT = "report.html"
MINUTE = 60
INTERRUPTED = 130  # what a shell reports for Ctrl-C


def main() -> None:
    """Run the command; a mistake of the user's ends in one sentence and exit status 1."""
    from loadtests.rig.codebase import CodeError
    from loadtests.rig.generator import TrialError
    from loadtests.rig.shop import TargetError
    from loadtests.rig.slices import SliceError
    from loadtests.running.folder import RunError
    from loadtests.running.gate import GateError
    from microservices.launcher import LauncherError
    from microservices.topology import WorkspaceError

    try:
        cli(prog_name="loadtests")
    except (
        ExperimentError,
        RunError,
        CodeError,
        GateError,
        SliceError,
        TargetError,
        TrialError,
        LauncherError,
        WorkspaceError,
    ) as error:
        print(error, file=sys.stderr)
        sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """The lab: boots either shop, drives it, measures it, compares."""
    if ignored := clear_shop_settings():
        click.echo(
            f"The lab's shops do not see {', '.join(ignored)}: they get settings of their own.", err=True
        )


def _shops(command: Callable[..., None]) -> Callable[..., None]:
    """Options that put other shops in the place of this project's own."""

    @functools.wraps(command)
    def with_shops(monolith: str | None, microservices: str | None, **others: Any) -> None:
        command(shops={"monolith": monolith, "microservices": microservices}, **others)

    for kind, what in (("microservices", "split shop"), ("monolith", "monolith")):
        with_shops = click.option(
            f"--{kind}", metavar="DIR|URL", help=f"The {what} in a folder or at an address, instead of ours."
        )(with_shops)
    return with_shops


@cli.command("list")
def list_command() -> None:
    """Show the experiments and the question that each answers."""
    table = Table("name", "question", "repeats", "about")
    for name in experiments.names():
        each = experiments.load(name)
        table.add_row(name, each.question, str(each.repeats), _minutes(_seconds([each])))
    Console().print(table)


@cli.command()
@click.argument("names", nargs=-1, metavar="[NAME…]")
@click.option(
    "--repeats", type=click.IntRange(1, 100), help="Repeats instead of the experiment's own number."
)
@click.option(
    "--slices", type=click.Choice(["cgroup2", "cgroup1", "governor", "none"]), help="How CPU is sliced."
)
@click.option(
    "--resume",
    metavar="RUN",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Go on with a run that was interrupted.",
)
@click.option("--short", is_flag=True, help="The demo's form: fewer and shorter repeats.")
@_shops
def run(
    names: tuple[str, ...],
    short: bool,
    repeats: int | None,
    slices: str | None,
    resume: Path | None,
    shops: dict[Kind, str | None],
) -> None:
    """Run experiments in full (a NAME of the list, `all`, or your own TOML file) and write the report."""
    from loadtests.running import runner
    from loadtests.running.options import Options

    if resume:
        if names or short or repeats or slices or any(shops.values()):
            raise click.UsageError(
                "--resume takes nothing else: the run has its own names, numbers and shops."
            )
        _watch(resume, lambda show: runner.resume(resume, show))
        return
    if not names:
        raise click.UsageError("Missing a NAME of `loadtests list`, a TOML file, or --resume RUN.")
    wanted = experiments.names() if names == ("all",) else names
    loaded = [experiments.load(name) for name in wanted]
    chosen = _repeated([each.short() for each in loaded] if short else loaded, repeats)
    command = f"loadtests run {' '.join(names)}{' --short' if short else ''}" + _options(repeats, shops)
    _run(chosen, Options("demo" if short else "full", command, backend=slices, shops=shops))


@cli.command()
@click.option("--repeats", type=click.IntRange(1, 100), help="Repeats instead of the demo's own number.")
@click.option("--open", "show", is_flag=True, help="Open the report in a browser afterwards.")
@_shops
def demo(show: bool, repeats: int | None, shops: dict[Kind, str | None]) -> None:
    """Seed and boot both shops, compare them in about three minutes, write the report."""
    from loadtests.running.options import Options

    chosen = _repeated([experiments.load(name).short() for name in DEMO], repeats)
    options = Options(
        "demo",
        "loadtests demo" + _options(repeats, shops),
        share=True,
        attempts=DEMO_ATTEMPTS,
        budget_seconds=DEMO_SECONDS,
        shops=shops,
    )
    report = _run(chosen, options)
    if show:
        webbrowser.open(_url(report))


@cli.command()
@click.argument("folder", metavar="RUN", type=click.Path(exists=True, file_okay=False, path_type=Path))
def report(folder: Path) -> None:
    """Make the report again from the raw files of RUN."""
    _report(folder, Console())


@cli.command("compare")
@click.argument("before", metavar="RUN", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("after", metavar="RUN", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Measurements that did not change as well.")
@click.option("--markdown", is_flag=True, help="Everything as Markdown.")
def compare_command(before: Path, after: Path, everything: bool, markdown: bool) -> None:
    """Show what changed beyond noise from one RUN to another."""
    from loadtests.report import compare
    from loadtests.running.folder import read_run

    runs = [read_run(folder) for folder in (before, after)]
    one, other = (compare.Side(run.notes, run.experiments, run.results, run.measured) for run in runs)
    if markdown:
        print(compare.markdown(one, other), end="")
    else:
        Console().print(compare.terminal(one, other, everything=everything))


@cli.command("selftest")
@click.option(
    "--tries", type=click.IntRange(40, 10000), default=400, show_default=True, help="Tries of each chance."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Another luck.")
@click.option("--real", is_flag=True, help="Real shops and real faults as well; about four minutes.")
def selftest_command(tries: int, seed: int, real: bool) -> None:
    """Hold the lab to what it says, on simulated trials: exit status 1 when it fails."""
    from loadtests.selftest.checks import terminal
    from loadtests.selftest.run import all_checks

    console = Console()
    with console.status("testing the lab") as status:
        checks = all_checks(seed, tries, real=real, show=status.update)
    console.print(terminal(checks))
    if not all(check.passed for check in checks):
        sys.exit(1)


def _options(repeats: int | None, shops: Mapping[Kind, str | None]) -> str:
    """What was asked for beyond names, as it is typed."""
    given = [("repeats", repeats), *shops.items()]
    return "".join(f" --{name} {shlex.quote(str(value))}" for name, value in given if value)


def _repeated(chosen: list[Experiment], repeats: int | None) -> list[Experiment]:
    if repeats is None:
        return chosen
    return [each.model_copy(update={"repeats": repeats}) for each in chosen]


def _run(chosen: Sequence[Experiment], options: "Options") -> Path:
    """Run a new run, announced by its names and its length."""
    from loadtests.running import runner

    folder = RUNS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{options.form}"
    names = ", ".join(each.name for each in chosen)
    Console().print(f"{names}: about {_minutes(_seconds(chosen, options.share))}.")
    return _watch(folder, lambda show: runner.run(chosen, folder, options, show))


def _watch(folder: Path, work: "Callable[[Callable[[Step], None]], None]") -> Path:
    """Work with progress on the terminal; the ledger and the report's place at the end."""
    from loadtests.rig.live import ProgressDisplay

    # Whoever ends the lab politely leaves no shop behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console()
    console.print(f"The report will be {_url(folder / REPORT)}", soft_wrap=True)
    with ProgressDisplay(console) as watch:
        work(lambda step: watch.step(f"{step.text} (about {_minutes(step.left)} left)", step.trials))
    report = _report(folder, console)
    if json.loads((folder / "run.json").read_text(encoding="utf-8"))["stopped_early"]:
        console.print("[yellow]Stopped early: this is what was measured until then.[/]")
        console.print(f"Go on with: loadtests run --resume {folder}", soft_wrap=True)
        sys.exit(INTERRUPTED)
    return report


def _report(folder: Path, console: Console) -> Path:
    """Write results.json, report.html and summary.md from the raw files, and show the ledger."""
    from loadtests.report import ledger
    from loadtests.report.page import html, summary
    from loadtests.running.folder import RunError, read_run

    done = read_run(folder)
    if not any(each["trials"] for each in done.results["experiments"]):
        raise RunError(f"No trial in {folder} was finished, so there is nothing to report.")
    (folder / "results.json").write_text(json.dumps(done.results, indent=1) + "\n", encoding="utf-8")
    parts = (done.results, done.experiments, done.notes)
    (folder / "summary.md").write_text(summary(*parts), encoding="utf-8")
    file = folder / REPORT
    file.write_text(html(*parts), encoding="utf-8")
    rows = ledger.ledger(done.results, done.experiments)
    console.print(ledger.terminal(rows, "Claims and prices"))
    missed = [row for row in rows if row.missed]
    if missed:
        console.print(f"[bold red]{len(missed)} of the promised bars missed.[/]")
    console.print(f"The report is {_url(file)}", soft_wrap=True)
    return file


def _url(file: Path) -> str:
    """Where a file is, as an address that a terminal makes a link of."""
    return file.absolute().as_uri()


def _seconds(chosen: Sequence[Experiment], share: bool = False) -> float:
    return sum(trial.seconds for trial in plan(chosen, share=share))


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < MINUTE else f"{seconds / MINUTE:.0f} min"
