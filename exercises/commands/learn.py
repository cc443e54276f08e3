"""The commands to see where one is and what is asked: start, status, list, hint, diff, solution."""

from __future__ import annotations

from pathlib import Path

import click

from exercises.commands.options import (
    find_workspace,
    json_option,
    next_steps,
    open_workspace,
    report_change,
    say_what_changed_in_the_course,
    workspace_option,
    yes_option,
)
from exercises.commands.output import Printer, title
from exercises.commands.shop import SERVE_PORT, served, stay_open
from exercises.commands.text import show
from exercises.errors import ExerciseError
from exercises.workspaces.last_check import last_check, open_task, task_result


@click.command()
@workspace_option
@json_option
@click.option("--serve", "stay", is_flag=True, help="Keep the shop running until Ctrl-C.")
def start(folder: Path | None, as_json: bool, stay: bool) -> None:
    """Create the workspace with the first exercise, and check that your shop runs."""
    import time

    printer, workspace = Printer(as_json=as_json), find_workspace(folder)
    began = time.perf_counter()
    if workspace.data_dir.is_dir():
        step = workspace.step
        printer.say(f"Your workspace exists already, at {step.label}; nothing was changed.")
    else:
        step = workspace.create()
        printer.say(f"Your workspace is {workspace.root}")
    title(printer, step)
    with served(workspace, port=SERVE_PORT if stay else None, seed=1) as shop:
        page = shop.try_ask("GET", "/")
        seconds = time.perf_counter() - began
        printer.say(f"Your shop answers with {page.status} after {seconds:.1f} s.")
        if stay:
            stay_open(printer.line, shop.url)
    next_steps(printer, step)
    printer.data(
        {"workspace": workspace.root, "exercise": step.label, "status": page.status, "seconds": seconds}
    )


@click.command()
@workspace_option
@json_option
def status(folder: Path | None, as_json: bool) -> None:
    """Show where you are and what is next."""
    printer, workspace = Printer(as_json=as_json), open_workspace(folder)
    state, step = workspace.state, workspace.step
    title(printer, step)
    printer.say(step.manifest.goal)
    last = last_check(workspace, step)
    tasks = [
        {"task": task.id, "title": task.title, "result": task_result(task.checks, last)}
        for task in step.manifest.tasks
    ]
    for number, task in enumerate(tasks, start=1):
        printer.item(task["result"], f"{number}. {task['title']} ({task['task']})", width=14)
    passed = workspace.has_passed()
    incoming = workspace.incoming()
    if incoming:
        printer.say("To merge by hand, and then delete:")
        printer.lines(incoming, indent=2)
    changed = say_what_changed_in_the_course(printer, workspace)
    if workspace.changer.interrupted:
        printer.say("A change was interrupted. The next command that changes something will finish it.")
    if passed:
        following = workspace.course.after(step)
        printer.say(
            "It has passed. Next: exercises next" if following else "It has passed. It is the last exercise."
        )
    else:
        next_steps(printer, step)
    printer.data(
        {
            "workspace": workspace.root,
            "exercise": step.label,
            "passed": passed,
            "tasks": tasks,
            "incoming": incoming,
            "changed_in_the_course": changed,
            "finished": sorted(state.passed),
        }
    )


@click.command("list")
@workspace_option
@json_option
def list_command(folder: Path | None, as_json: bool) -> None:
    """List the exercises, with minutes and goal."""
    printer, workspace = Printer(as_json=as_json), find_workspace(folder)
    current, passed = "", set()
    if workspace.data_dir.is_dir():
        state = workspace.state
        current, passed = state.exercise, set(state.passed)
    rows = []
    for step in workspace.course.steps:
        where = "now" if step.id == current else "passed" if step.id in passed else ""
        printer.item(
            where or "-", f"{step.label}, {step.manifest.minutes} minutes. {step.manifest.goal}", width=8
        )
        rows.append(
            {
                "exercise": step.label,
                "minutes": step.manifest.minutes,
                "goal": step.manifest.goal,
                "current": step.id == current,
                "passed": step.id in passed,
            }
        )
    printer.data(rows)


@click.command()
@click.argument("task", required=False)
@workspace_option
@json_option
@click.option("--again", is_flag=True, help="Show the hints again that you have seen.")
def hint(task: str | None, folder: Path | None, as_json: bool, again: bool) -> None:
    """Show the next of three hints for TASK, its number or name (default: the first task that is not done)."""
    from exercises.course.hints import LEVELS, next_hint, seen_hints

    printer, workspace = Printer(as_json=as_json), open_workspace(folder)
    step = workspace.step
    task = step.task(task) if task else open_task(workspace, step)
    key = f"{step.id}/{task}"
    if again:
        shown = seen_hints(step.file("hints.md"), task, workspace.state.hints.get(key, 0))
    else:
        with workspace.locked("hint", printer.note):
            state = workspace.state
            shown = [next_hint(step.file("hints.md"), task, state.hints.get(key, 0))]
            state.hints[key] = shown[-1][0]
            workspace.state_file.write(state)
    for number, text in shown:
        printer.say(f"{task}, hint {number} of {len(LEVELS)}: {LEVELS[number - 1]}", style="bold")
        show(printer, text)
    if not shown:
        printer.say(f"You have seen no hint for {task} yet.")
    number = shown[-1][0] if shown else 0
    if number > 1 and not again:
        printer.say(f"The earlier ones: exercises hint {task} --again")
    more = "exercises hint " + task if number < len(LEVELS) else "exercises solution"
    printer.say(f"{'More' if number < len(LEVELS) else 'That was the last one'}: {more}")
    found = [{"task": task, "hint": number, "of": len(LEVELS), "text": text} for number, text in shown]
    printer.data(found if again else found[0])


@click.command()
@click.argument("what", type=click.Choice(["mine", "step", "next", "solution"]), default="mine")
@workspace_option
@json_option
@yes_option
def diff(what: str, folder: Path | None, as_json: bool, yes: bool) -> None:
    """Show what you changed since the exercise began (mine), what the exercise added at its start (step), what the
    next one will add (next), or from your code to our solution (solution), after one question.
    """
    from exercises.workspaces import differences

    printer, workspace = Printer(as_json=as_json), open_workspace(folder)
    step = workspace.step
    if what == "solution" and not yes:
        click.confirm(f"Show the solution of {step.label}?", abort=True)
    match what:
        case "mine":
            found, nothing = differences.mine(workspace), "you changed no file"
        case "step":
            found, nothing = differences.brought(workspace.course, step), "the exercise brought no file"
        case "next":
            found, nothing = differences.coming(workspace.course, step), "the next exercise brings no file"
        case _:
            found, nothing = differences.to_solution(workspace), "your code is our solution"
    lines = found.lines()
    _page(printer, lines, f"Nothing differs: {nothing}.")
    printer.data({"changed": found.changed(), "diff": lines})


@click.command()
@click.argument("file", required=False)
@workspace_option
@yes_option
@click.option(
    "--take", is_flag=True, help="Have the solution in the workspace; what you have is copied first."
)
def solution(file: str | None, folder: Path | None, yes: bool, take: bool) -> None:
    """Show how the exercise can be solved (all of it, or FILE), after one question."""
    from exercises.workspaces import differences

    printer, workspace = Printer(), open_workspace(folder)
    step, course = workspace.step, workspace.course
    question = f"{'Replace your code by' if take else 'Show'} the solution of {step.label}?"
    if not yes:
        click.confirm(question, abort=True)
    if take:
        with workspace.locked("solution", printer.note):
            report_change(printer, workspace.jump(step, "solution"), f"This is the solution of {step.label}.")
        return
    if file:
        relpath, end = workspace.relpath(file), course.state(step, "solution")
        if relpath not in end:
            raise ExerciseError(f"The solution has no file {relpath}.")
        printer.lines(end[relpath].read_text(encoding="utf-8").splitlines())
        return
    _page(printer, differences.solved(course, step).lines(), "It changes no file.")


def _page(printer: Printer, lines: list[str], nothing: str) -> None:
    if lines:
        printer.lines(lines)
    else:
        printer.say(nothing)
