"""The `loadtests` command: list, run, demo, report, compare, selftest."""

import functools
import shlex
import sys
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from loadtests import console
from loadtests.experiments import experiment as experiments
from loadtests.experiments.experiment import Experiment, ExperimentError
from loadtests.experiments.kinds import Kind
from loadtests.rig.machine import clear_shop_settings

DEMO = ("tax", "scale-hot", "spike")
UNTIL_MINUTES = 60
DEMO_ATTEMPTS = 2
DEMO_SECONDS = 215.0
RUN = click.Path(exists=True, file_okay=False, path_type=Path)


def main() -> None:
    """Run the command; an error of the user ends with one sentence and exit status 1."""
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
    """The lab: starts both shops, puts load on them, measures and compares them."""
    if ignored := clear_shop_settings():
        click.echo(f"The lab ignores {', '.join(ignored)}: it chooses the settings of its shops.", err=True)


def _shop_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options that replace this project's own shops by others."""

    @functools.wraps(command)
    def with_shops(monolith: str | None, microservices: str | None, **others: Any) -> None:
        command(shops={"monolith": monolith, "microservices": microservices}, **others)

    for kind, what in (("microservices", "split shop"), ("monolith", "monolith")):
        with_shops = click.option(
            f"--{kind}",
            metavar="DIR|URL|kube:NAMESPACE",
            help=f"The {what} in a folder, at an address or in a cluster, not ours.",
        )(with_shops)
    return with_shops


@cli.command("list")
def list_command() -> None:
    """Show the experiments and the question that each answers."""
    table = Table("name", "question", "repeats", "about")
    for name in experiments.names():
        each = experiments.load(name)
        length = str(console.planned_span([each])).removeprefix("about ")
        table.add_row(name, each.question, str(each.repeats), length)
    Console().print(table)


@cli.command()
@click.argument("names", nargs=-1, metavar="[NAME…]")
@click.option(
    "--repeats", type=click.IntRange(1, 100), help="Repeats instead of the experiment's own number."
)
@click.option(
    "--slices",
    type=click.Choice(["cgroup2", "cgroup1", "governor", "none"]),
    help="How CPU is sliced, instead of the first way that works.",
)
@click.option("--resume", metavar="RUN", type=RUN, help="Go on with an interrupted run.")
@click.option("--short", is_flag=True, help="The demo's form: fewer and shorter repeats.")
@click.option(
    "--until",
    metavar="WIDTH",
    callback=lambda _context, _option, value: _width(value),
    help="Repeat until the primary claims are known to ±WIDTH, such as 10%, or the time is up.",
)
@click.option(
    "--minutes",
    type=click.IntRange(1, 1440),
    default=UNTIL_MINUTES,
    show_default=True,
    help="The time of --until.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes of the load generator, where one has too little CPU.",
)
@_shop_options
def run(
    names: tuple[str, ...],
    short: bool,
    processes: int,
    repeats: int | None,
    slices: str | None,
    resume: Path | None,
    until: float | None,
    minutes: int,
    shops: dict[Kind, str | None],
) -> None:
    """Run experiments in full (a NAME of the list, `all`, or your own TOML file) and write the report."""
    from loadtests.running import runner
    from loadtests.running.options import Options
    from loadtests.running.until import Goal

    if resume:
        if names or short or repeats or slices or until or processes > 1 or any(shops.values()):
            raise click.UsageError(
                "--resume takes nothing else: the run has its own experiments, repeats, processes and shops."
            )
        console.run_and_report(resume, lambda show: runner.resume(resume, show))
        return
    if not names:
        raise click.UsageError("Give a NAME of `loadtests list`, a TOML file, or --resume RUN.")
    if until and (len(names) > 1 or names == ("all",)):
        raise click.UsageError(
            "--until takes one NAME, because each experiment has claims and a time of its own."
        )
    wanted = experiments.names() if names == ("all",) else names
    loaded = [experiments.load(name) for name in wanted]
    chosen = _with_repeats([each.short() for each in loaded] if short else loaded, repeats)
    command = f"loadtests run {' '.join(names)}{' --short' if short else ''}" + _typed(repeats, shops)
    goal = Goal(until, minutes * 60) if until else None
    command += f" --until {until:g} --minutes {minutes}" if until else ""
    command += f" --processes {processes}" if processes > 1 else ""
    options = Options(
        "demo" if short else "full",
        command,
        backend=slices,
        until=goal,
        processes=processes,
        shops=shops,
    )
    console.start_run(chosen, options)


@cli.command()
@click.option("--repeats", type=click.IntRange(1, 100), help="Repeats instead of the demo's own number.")
@click.option("--open", "show", is_flag=True, help="Open the report in a browser afterwards.")
@_shop_options
def demo(show: bool, repeats: int | None, shops: dict[Kind, str | None]) -> None:
    """Seed and start both shops, compare them in about three minutes, write the report."""
    from loadtests.running.options import Options

    chosen = _with_repeats([experiments.load(name).short() for name in DEMO], repeats)
    options = Options(
        "demo",
        "loadtests demo" + _typed(repeats, shops),
        share=True,
        attempts=DEMO_ATTEMPTS,
        budget_seconds=DEMO_SECONDS,
        shops=shops,
    )
    page = console.start_run(chosen, options)
    if show:
        webbrowser.open(console.url(page))


@cli.command()
@click.argument("folder", metavar="RUN", type=RUN)
def report(folder: Path) -> None:
    """Make the report again from the raw files of RUN."""
    console.show_report(folder, Console())


@cli.command("publish")
@click.argument("run_folder", metavar="RUN", type=RUN)
@click.argument("folder", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path))
def publish_command(run_folder: Path, folder: Path) -> None:
    """Copy the report, the numbers and the texts of RUN to FOLDER, without its raw files."""
    from loadtests.report.publish import publish

    publish(run_folder, folder)
    click.echo(f"{folder} holds the run now. Write it into the pages with: python -m docs.generate")


@cli.command("compare")
@click.argument("before", metavar="RUN", type=RUN)
@click.argument("after", metavar="RUN", type=RUN)
@click.option("--all", "everything", is_flag=True, help="Also the measurements that did not change.")
@click.option("--markdown", is_flag=True, help="All measurements, as Markdown.")
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
    "--tries",
    type=click.IntRange(40, 10000),
    default=400,
    show_default=True,
    help="Tries of each check that depends on chance.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the random numbers.")
@click.option("--real", is_flag=True, help="Real shops and real faults as well; about five minutes.")
def selftest_command(tries: int, seed: int, real: bool) -> None:
    """Test the lab itself on simulated trials: exit status 1 when a check fails."""
    from loadtests.selftest.checks import terminal
    from loadtests.selftest.run import all_checks

    screen = Console()
    with screen.status("testing the lab") as status:
        checks = all_checks(seed, tries, real=real, show=status.update)
    screen.print(terminal(checks))
    if not all(check.passed for check in checks):
        sys.exit(1)


def _width(text: str | None) -> float | None:
    """The half width that `10%` or `0.1` means."""
    if text is None:
        return None
    try:
        width = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        width = 0.0
    if not 0.005 <= width <= 1:  # also false for NaN
        raise click.BadParameter(f"expected a width from 0.5% to 100%, such as 10%, not {text}.")
    return width


def _typed(repeats: int | None, shops: Mapping[Kind, str | None]) -> str:
    """The options that were given, as the user typed them."""
    given = [("repeats", repeats), *shops.items()]
    return "".join(f" --{name} {shlex.quote(str(value))}" for name, value in given if value)


def _with_repeats(chosen: list[Experiment], repeats: int | None) -> list[Experiment]:
    if repeats is None:
        return chosen
    return [each.model_copy(update={"repeats": repeats}) for each in chosen]
