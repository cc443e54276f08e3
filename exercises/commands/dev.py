"""`exercises dev`: commands for authors of exercises."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from exercises.commands.mutate import mutate
from exercises.commands.options import course_folder
from exercises.commands.output import Printer
from exercises.course.course import Course
from exercises.errors import Exit

WHICH = "[start|solution|alt/NAME|wrong/NAME]"


@click.group()
def dev() -> None:
    """Write exercises. README.md in the folder of the exercises explains how."""


dev.add_command(mutate)


@dev.command("new")
@click.argument("label", metavar="NN-ID")
def new_command(label: str) -> None:
    """Create the folder of a new exercise, with all files that it needs."""
    from exercises.authoring.new import new

    printer = Printer()
    printer.line(str(new(course_folder(), label)))
    printer.say(
        "Write it, then add the folder to workshop.toml. `exercises dev verify` says what is missing."
    )


@dev.command("edit")
@click.argument("exercise", metavar="N")
@click.argument("which", metavar=WHICH, default="solution")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to unfold it (default: below build/).")
def edit_command(exercise: str, which: str, folder: Path | None) -> None:
    """Unfold a state of exercise N into a folder, to be edited there and saved."""
    from exercises.authoring.saving import default_folder, edit

    course = Course(course_folder())
    step = course.step(exercise)
    folder = folder or default_folder(course, step, which)
    count = edit(course, step, which, folder)
    printer = Printer()
    printer.say(f"{count} files of {step.label}/{which} are in")
    printer.line(str(folder))
    printer.say(f"Then: exercises dev save {step.number} {which}")


@dev.command("save")
@click.argument("exercise", metavar="N")
@click.argument("which", metavar=WHICH, default="solution")
@click.option("--folder", type=click.Path(path_type=Path), help="Where it was unfolded.")
def save_command(exercise: str, which: str, folder: Path | None) -> None:
    """Save an edited state in its overlay, and carry the change forward into later overlays.

    Exit status 1 when something is left to do by hand.
    """
    from exercises.authoring.saving import default_folder, save

    course = Course(course_folder())
    step = course.step(exercise)
    saved = save(course, step, which, folder or default_folder(course, step, which))
    printer = Printer()
    for label, relpaths in (
        ("written", saved.written),
        ("removed", saved.removed),
        ("carried", saved.carried),
        ("by hand", saved.manual),
    ):
        for relpath in relpaths:
            printer.item(label, relpath, width=9)
    if saved.manual:
        printer.say(f"{len(saved.manual)} to do by hand.")
        sys.exit(Exit.NOT_YET)
    printer.say("Nothing to do by hand." if saved.written or saved.removed else "Nothing has changed.")


@dev.command("verify")
@click.argument("exercises", metavar="[N]...", nargs=-1)
@click.option("--quick", is_flag=True, help="Leave out the checks that make load.")
@click.option("--paper", is_flag=True, help="Only what can be verified without running a shop.")
@click.option(
    "--only", metavar="TEXT", help="Only states whose name contains TEXT, such as wrong or solution."
)
@click.option(
    "--times", default=1, show_default=True, type=click.IntRange(1, 100), help="How often to run each state."
)
@click.option("--acceptance", is_flag=True, help="Also the acceptance suite on every solution.")
def verify_command(
    exercises: tuple[str, ...], quick: bool, paper: bool, only: str | None, times: int, acceptance: bool
) -> None:
    """Verify what the course promises, for all exercises or those named.

    Every start is not yet. Every solution passes its own and all earlier checks. Every alternative passes. Every wrong
    answer fails its check with its words. Every check is failed by something.
    """
    from exercises.authoring import guarantees, manuscript
    from exercises.checks.results import Report

    course, printer = Course(course_folder()), Printer()
    chosen = [course.step(name) for name in exercises] or course.steps
    wrong = list(manuscript.problems(course))
    for sentence in wrong:
        printer.item("wrong", sentence, width=13)
    started: dict[str, Report] = {}
    for trial in () if paper else guarantees.trials(course, chosen):
        if only and only not in trial.label:
            continue
        for _ in range(times):
            done = guarantees.run_trial(course, trial, load=not quick)
            label = "wrong" if done.problem else "inconclusive" if done.inconclusive else "ok"
            printer.item(label, f"{trial.label} ({done.seconds:.1f} s) {done.problem}".rstrip(), width=13)
            wrong += [done.problem] if done.problem else []
            if trial.which == "start" and done.report:
                started[trial.step.id] = done.report
    if not paper and not only and not quick:
        for sentence in guarantees.checks_never_failed(chosen, started):
            printer.item("wrong", sentence, width=13)
            wrong.append(sentence)
    for step in chosen if acceptance else ():
        problem = guarantees.run_acceptance(course, step)
        printer.item(
            "wrong" if problem else "ok", f"{step.label}: acceptance suite {problem}".rstrip(), width=13
        )
        wrong += [problem] if problem else []
    printer.say(f"{len(wrong)} promises are broken." if wrong else "Every promise is kept.")
    sys.exit(Exit.NOT_YET if wrong else Exit.PASS)


@dev.command("times")
@click.option("--measure", is_flag=True, help="Also measure how long the checks of each solution take.")
@click.option("--json", "as_json", is_flag=True, help="One JSON value on standard output.")
def times_command(measure: bool, as_json: bool) -> None:
    """Show the timetable of each track, from the minutes in the exercises' files."""
    from exercises.authoring import guarantees
    from exercises.authoring.overlays import overlay
    from exercises.course.timetable import timetable

    course, printer = Course(course_folder()), Printer(as_json=as_json)
    document: dict[str, object] = {}
    for track in course.workshop.tracks:
        entries = timetable(course, track.id)
        printer.say(track.title, style="bold")
        for entry in entries:
            when = entry.clock if track.days == 1 else f"day {entry.day}, {entry.clock}"
            printer.item(when, f"{entry.what}, {entry.minutes} minutes", width=13 if track.days > 1 else 7)
        printer.say()
        document[track.id] = [
            {"day": e.day, "at": e.clock, "minutes": e.minutes, "what": e.what} for e in entries
        ]
    if measure:
        measured = {}
        for step in course.steps:
            trial = guarantees.Trial(step, "solution", overlay(course, step, "solution"))
            quick, whole = (guarantees.run_trial(course, trial, load=load).seconds for load in (False, True))
            printer.item(f"{whole:.1f} s", f"check of {step.label}; {quick:.1f} s without load", width=9)
            measured[step.id] = {"check": whole, "quick": quick}
        document["measured"] = measured
    printer.data(document)
