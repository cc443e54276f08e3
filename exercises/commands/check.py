"""The commands check and watch. What a run finds is stored while it runs and at its end."""

from __future__ import annotations

import itertools
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exercises.commands.options import (
    json_option,
    open_workspace,
    say_what_changed_in_the_course,
    workspace_option,
)
from exercises.commands.output import Printer, title
from exercises.course.course import Step
from exercises.errors import ExerciseError
from exercises.workspaces import last_check
from exercises.workspaces.progress import Recorder
from exercises.workspaces.workspace import Workspace

if TYPE_CHECKING:
    from exercises.checks.results import Report


@click.command()
@click.argument("exercise", metavar="[N]", required=False)
@workspace_option
@json_option
@click.option("--all", "everything", is_flag=True, help="Show every failure in full, not only the first.")
@click.option(
    "--only",
    multiple=True,
    metavar="TASK",
    help="Only this task (its number or name) or this check; may be repeated.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="About ten seconds: without load, and only as many earlier exercises' checks as there is time for.",
)
@click.option("--alone", is_flag=True, help="Leave out the earlier exercises' checks.")
@click.option("--seed", type=click.IntRange(0, 2**31), help="Repeat a run with its data and random choices.")
def check(
    exercise: str | None,
    folder: Path | None,
    as_json: bool,
    everything: bool,
    only: tuple[str, ...],
    quick: bool,
    alone: bool,
    seed: int | None,
) -> None:
    """Check the current exercise, or exercise N, then the earlier ones as far as they still hold.

    Exit status: 0 pass, 1 not yet, 3 inconclusive (the machine was too busy), 2 a mistake of the tool.
    """
    printer, workspace = Printer(as_json=as_json), open_workspace(folder)
    step = workspace.course.step(exercise) if exercise else workspace.step
    _require_reached(workspace, step)
    only = tuple(step.task(name) for name in only)
    _require_names(step, only)
    with workspace.locked("check", printer.note):
        report = run_and_report(
            printer, workspace, step, only, quick=quick, alone=alone, seed=seed, everything=everything
        )
    if report.passed and only:
        printer.say(f"{_chosen(step, only)}; run the whole check: exercises check")
    elif report.passed and step.id == workspace.state.exercise and workspace.course.after(step):
        printer.say("Next: exercises next")
    say_what_changed_in_the_course(printer, workspace)
    printer.data(report.json())
    sys.exit(report.status)


@click.command()
@workspace_option
@click.option("--load", is_flag=True, help="With the checks that make load.")
@click.option("--once", is_flag=True, hidden=True, help="End after the first change.")
def watch(folder: Path | None, load: bool, once: bool) -> None:
    """Check again whenever you save a file, until Ctrl-C."""
    from exercises.workspaces.watch import changes

    printer, workspace = Printer(), open_workspace(folder)
    seed: int | None = None
    for changed in changes(workspace.root):
        if changed:
            printer.say(f"Changed: {', '.join(changed[:3])}{' and more' if len(changed) > 3 else ''}")
        try:
            with workspace.locked("watch", printer.note):
                report = run_and_report(
                    printer,
                    workspace,
                    workspace.step,
                    (),
                    quick=not load,
                    alone=False,
                    seed=seed,
                    everything=False,
                )
            seed = report.seed  # the same data again: it is seeded already, and failures can be compared
        except ExerciseError as error:
            printer.say(str(error))
        if once and changed:
            return
        printer.say("Waiting for you to save a file; Ctrl-C ends.")


def run_and_report(
    printer: Printer,
    workspace: Workspace,
    step: Step,
    only: tuple[str, ...],
    *,
    quick: bool,
    alone: bool,
    seed: int | None,
    everything: bool,
) -> Report:
    from exercises.checks.results import Outcome, Verdict
    from exercises.checks.runner import QUICK_BEGIN_SECONDS, Choice, run_checks, select
    from exercises.commands.output import outcome_line, summary

    def show(outcome: Outcome) -> None:
        recorder.outcome(outcome.json())
        if outcome.exercise == step.id or outcome.verdict not in {Verdict.PASS, Verdict.SKIPPED}:
            outcome_line(printer, outcome)

    title(printer, step)
    begin_seconds = QUICK_BEGIN_SECONDS if quick else math.inf
    choice = Choice(quick=quick, earlier=not alone, only=only, begin_seconds=begin_seconds)
    own, earlier, _ = select(workspace.course, step, choice)
    recorder = Recorder(workspace.data_dir, step.id, only, len(own) + len(earlier))
    digest = workspace.digest()
    report = run_checks(
        workspace.course,
        step,
        workspace.root,
        workspace.data_dir / "check",
        choice=choice,
        seed=seed,
        show=show,
        starting=lambda _, check: recorder.starting(check.says),
    )
    summary(printer, report, step.id, everything=everything)
    last_check.store(workspace, report.json(), keep=bool(only))
    if report.passed and not only and not alone and step.id == workspace.state.exercise:
        if digest == workspace.digest():
            workspace.note_pass()
        else:
            printer.say("Files changed during the check, so this pass does not count; check again.")
    recorder.end(report.json()["result"])
    return report


def _chosen(step: Step, only: tuple[str, ...]) -> str:
    one = "task" if only[0] in {task.id for task in step.manifest.tasks} else "check"
    return f"This {one} passes" if len(only) == 1 else f"These {one}s pass"


def _require_reached(workspace: Workspace, step: Step) -> None:
    here = workspace.step
    if step not in [*workspace.course.earlier(here), here]:
        raise ExerciseError(
            f"{step.label} comes later: you are at {here.label}, and its files are not in your workspace. "
            f"Go on step by step with exercises next, or take our state of it: exercises jump {int(step.number)}"
        )


def _require_names(step: Step, only: tuple[str, ...]) -> None:
    checks_of = {task.id: task.checks for task in step.manifest.tasks}
    known = {*checks_of, *itertools.chain(*checks_of.values())}
    if unknown := [name for name in only if name not in known]:
        listed = "; ".join(f"{task} ({', '.join(checks)})" for task, checks in checks_of.items())
        raise ExerciseError(
            f"{step.label} has no task or check {unknown[0]!r}; its tasks and their checks are {listed}."
        )
