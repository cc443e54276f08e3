"""The command `exercises dev mutate`: which mutants are tried, the progress, and the report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from exercises.commands.options import course_folder, json_option
from exercises.commands.output import Printer, title
from exercises.course.course import Course

if TYPE_CHECKING:
    from exercises.authoring.mutation.mutants import Mutant
    from exercises.authoring.mutation.report import Report
    from exercises.authoring.mutation.results import Result

WORDS = 160
Show = Callable[["Mutant", "Result"], None]


@click.command()
@click.argument("exercise", metavar="N")
@click.option("--list", "listed", is_flag=True, help="Only list the mutants; run nothing.")
@click.option("--only", metavar="FILE", help="Only those of one file of the solution, such as remote.py.")
@click.option(
    "--sample", type=click.IntRange(1), metavar="K", help="Only K, spread evenly over files and kinds."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Which sample; each has another."
)
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="How many at a time.")
@click.option("--fresh", is_flag=True, help="Try also those whose results are stored.")
@click.option(
    "--older", is_flag=True, help="Keep those that older checks caught; for when checks were only added."
)
@json_option
def mutate(
    exercise: str,
    listed: bool,
    only: str | None,
    sample: int | None,
    seed: int,
    jobs: int,
    fresh: bool,
    older: bool,
    as_json: bool,
) -> None:
    """Change the solution of exercise N piece by piece; list what no check notices.

    Only what the learner writes is changed. Results are stored below build/, so that a run goes on where the last one
    was stopped; a change of the solution or of check.py makes them invalid, one of other files needs --fresh. A mutant
    that no check can tell from the solution is explained in equivalent.toml. Exit status 1 when something survived.
    """
    from exercises.authoring.mutation import mutants
    from exercises.authoring.mutation.equivalent import read_equivalents
    from exercises.authoring.mutation.report import Report
    from exercises.authoring.mutation.results import Store
    from exercises.authoring.mutation.running import try_mutants

    printer, course = Printer(as_json=as_json), Course(course_folder())
    step = course.step(exercise)
    everything = mutants.mutants_of(course, step)
    chosen = list((everything.of_file(only) if only else everything).mutants)
    if sample:
        chosen = mutants.sample(chosen, sample, seed)
    title(printer, step)
    if listed:
        _list(printer, chosen)
        return
    store = Store(course, step)
    found = {} if fresh else {each: store.find(each, older=older) for each in chosen}
    stored = {each: result for each, result in found.items() if result}
    to_try = [each for each in chosen if each not in stored]
    results = dict(stored)
    printer.say(
        f"{len(chosen)} of {len(everything.mutants)} mutants; {len(stored)} results are stored, "
        f"{len(to_try)} are tried now. Ctrl-C stops; the same command goes on."
    )
    if to_try:
        with _progress(printer, results, len(to_try)) as show:
            try_mutants(
                course,
                step,
                to_try,
                store,
                jobs=jobs,
                show=show,
                estimate=lambda seconds: printer.note(
                    f"The solution passes in {seconds:.0f} s, so this takes at most about "
                    f"{max(1, round(seconds * len(to_try) / jobs / 60))} minutes, and more if mutants hang."
                ),
            )
    report = Report(everything.mutants, results, read_equivalents(step), everything.invalid)
    _print(printer, report, everything.left_alone)
    printer.data({"exercise": step.id, **report.json()})
    sys.exit(report.status)


def _list(printer: Printer, chosen: list[Mutant]) -> None:
    for each in chosen:
        _mutant(printer, each)
    printer.say(f"{len(chosen)} mutants.")
    printer.data([{"file": e.file, "line": e.line, "kind": e.kind, "mutant": e.text} for e in chosen])


def _print(printer: Printer, report: Report, left_alone: tuple[str, ...]) -> None:
    """The report: what needs work first, the counts last."""
    from exercises.authoring.mutation.results import End

    for heading, mutants in (
        ("Survived:", report.survivors),
        ("Broke a check, which then blames the course:", report.ended(End.BROKE)),
        ("Timed out, which counts as caught:", report.ended(End.HUNG)),
        ("Undecided, because the machine was busy:", report.ended(End.UNDECIDED)),
    ):
        if mutants:
            printer.say()
            printer.say(heading, style="bold")
        for each in mutants:
            _mutant(printer, each)
            said = f"{report.results[each].check}: {report.results[each].words}"
            if said != ": ":
                printer.say(said[:WORDS], indent=4)
    printer.say()
    for check, count in report.caught_by.most_common():
        printer.item(str(count), f"caught by {check}", width=5)
    printer.item(str(len(report.ended(End.HUNG))), "timed out", width=5)
    printer.item(
        str(len(report.equivalent)), f"equivalent ({report.share:.1%} of all are explained)", width=5
    )
    printer.item(str(len(report.survivors)), "survived", width=5)
    printer.say(f"{report.invalid} more changes do not compile or change nothing, and are not counted.")
    for file in left_alone:
        printer.say(f"{file} is of a kind that cannot be mutated.")
    for sentence in report.mistakes:
        printer.item("wrong", f"equivalent.toml: {sentence}", width=7)


def _mutant(printer: Printer, mutant: Mutant) -> None:
    printer.line(f"{mutant.where}: {mutant.kind.value}")
    printer.lines(mutant.text.splitlines(), indent=4)


@contextmanager
def _progress(printer: Printer, results: dict[Mutant, Result], total: int) -> Iterator[Show]:
    """Collects the results: with a bar on a terminal, with a line for each elsewhere, both on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("0 survived", total=total)

        def show(mutant: Mutant, result: Result) -> None:
            results[mutant] = result
            survived = sum(each.end == "survived" for each in results.values())
            bar.update(task, advance=1, description=f"{survived} survived")
            if not console.is_terminal:
                printer.note(
                    f"{len(results)}: {mutant.where}, {mutant.kind}: {result.end} {result.check}".rstrip()
                )

        yield show
