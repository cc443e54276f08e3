"""What the panels show, read from the workspace: where the learner is, the tasks with their checks, the hints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from exercises.course.course import Step
from exercises.course.failures import LABELS, split_request
from exercises.course.hints import LEVELS, seen_hints
from exercises.course.sentences import sentences
from exercises.page.desk import CHECK, Desk
from exercises.workspaces import last_check, watch
from exercises.workspaces.last_check import task_result
from exercises.workspaces.progress import Progress
from exercises.workspaces.workspace import Workspace

RUNS = "running"
"""The result of a check that runs now. The other results are the words of the command line."""
MAX_NAMED = 3
MAX_LOG_LINES = 60
SHOWN_OF_EARLIER = {"not yet", "tool error", "inconclusive"}


@dataclass(frozen=True, slots=True)
class Part:
    """One of the five parts of a failure."""

    label: str
    text: str
    request: str = ""
    """Lines to copy that do the same; empty when there are none."""


@dataclass(frozen=True, slots=True)
class CheckView:
    """One check with what is known about it."""

    id: str
    says: str
    result: str
    seconds: float | None = None
    reason: str = ""
    parts: tuple[Part, ...] = ()
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskView:
    """One task with its checks."""

    number: int
    id: str
    title: str
    result: str
    checks: tuple[CheckView, ...]

    @property
    def passed(self) -> int:
        """How many of its checks pass."""
        return sum(check.result == "pass" for check in self.checks)


@dataclass(frozen=True, slots=True)
class RunView:
    """The check that runs now."""

    done: int
    total: int
    current: str
    here: bool
    """Whether this page started it, so that it can stop it."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One hint of a ladder."""

    number: int
    level: str
    text: str
    """Empty for one that was not seen."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """The hints of one task."""

    task: TaskView
    rungs: tuple[Rung, ...]

    @property
    def seen(self) -> int:
        """How many were seen."""
        return sum(bool(rung.text) for rung in self.rungs)


@dataclass(slots=True)
class Board:
    """Everything about the current exercise that more than one panel shows."""

    workspace: Workspace
    step: Step
    tasks: list[TaskView]
    run: RunView | None
    has_passed: bool
    following: Step | None
    earlier: list[CheckView] = field(default_factory=list)
    """Checks of earlier exercises that do not hold any more."""
    checked_at: float | None = None
    """When the last check ended, in seconds since the epoch."""
    changed: list[str] = field(default_factory=list)
    """Files that changed since."""
    incoming: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        """How many tasks pass."""
        return sum(task.result == "pass" for task in self.tasks)

    @property
    def open_task(self) -> TaskView:
        """The first task that does not pass; the first of all when every one does."""
        return next((task for task in self.tasks if task.result != "pass"), self.tasks[0])

    @property
    def says(self) -> str:
        """One sentence for a screen reader; it changes only when something begins or ends."""
        count = f"{self.done} of {len(self.tasks)} tasks pass."
        if self.run:
            return "A check runs."
        if self.has_passed:
            return f"{self.step.manifest.title} has passed."
        if self.checked_at is None:
            return f"{self.step.manifest.title}: nothing has been checked yet."
        return f"The check has ended: {self.open_task.result}. {count}"


def board(desk: Desk) -> Board:
    """Read everything about the current exercise."""
    workspace = desk.workspace()
    step = workspace.step
    found, now = last_check.by_check(workspace, step), desk.progress()
    running = now is not None and now.running
    current = ""
    if now and now.exercise == step.id and running:
        found |= {each["check"]: each for each in now.checks if each["exercise"] == step.id}
        current = now.current
    says = _sentences(step, found)
    tasks = [_task(n, task, found, says, current) for n, task in enumerate(step.manifest.tasks, start=1)]
    checked_at, changed = _since_last_check(workspace)
    return Board(
        workspace,
        step,
        tasks,
        _run(desk, now if running else None),
        workspace.has_passed(),
        workspace.course.after(step),
        [
            _check(each["check"], each["says"], each)
            for each in last_check.results(workspace)
            if each["exercise"] != step.id and each["result"] in SHOWN_OF_EARLIER
        ],
        checked_at,
        changed,
        workspace.incoming(),
    )


def ladders(found: Board) -> Iterator[Ladder]:
    """The hints of each task, with the texts of those that were seen."""
    seen, step = found.workspace.state.hints, found.step
    for task in found.tasks:
        count = seen.get(f"{step.id}/{task.id}", 0)
        texts = dict(seen_hints(step.file("hints.md"), task.id, count))
        yield Ladder(
            task,
            tuple(Rung(number, level, texts.get(number, "")) for number, level in enumerate(LEVELS, start=1)),
        )


def _sentences(step: Step, found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Check id to its sentence, as it was when the check ran, or else as it is in the exercise."""
    return sentences(step.file("check.py")) | {
        check_id: each["says"] for check_id, each in found.items() if "says" in each
    }


def _task(
    number: int, task: Any, found: dict[str, dict[str, Any]], says: dict[str, str], current: str
) -> TaskView:
    checks = []
    for check_id in task.checks:
        sentence = says.get(check_id, check_id)
        runs = bool(current) and sentence == current
        checks.append(_check(check_id, sentence, {"result": RUNS} if runs else found.get(check_id, {})))
    result = task_result(task.checks, {each: about["result"] for each, about in found.items()})
    if any(check.result == RUNS for check in checks):
        result = RUNS
    return TaskView(number, task.id, task.title, result, tuple(checks))


def _check(check_id: str, says: str, about: dict[str, Any]) -> CheckView:
    failure = about.get("failure") or {}
    return CheckView(
        check_id,
        says,
        about.get("result", "not checked"),
        about.get("seconds"),
        about.get("reason", ""),
        tuple(_parts(failure)),
        tuple(line.removeprefix(": ") for line in about.get("log", ())[-MAX_LOG_LINES:]),
    )


def _parts(failure: dict[str, Any]) -> Iterator[Part]:
    for name, label in LABELS:
        if name not in failure:
            continue
        text = " ".join(str(failure[name]).split())
        text, request = split_request(text) if name == "did" else (text, [])
        yield Part(label, text, "\n".join(request))


def _run(desk: Desk, now: Progress | None) -> RunView | None:
    if now is None:
        return RunView(0, 0, "", here=True) if desk.programs.is_running(CHECK) else None
    return RunView(len(now.checks), now.total, now.current, here=desk.programs.is_running(CHECK))


def _since_last_check(workspace: Workspace) -> tuple[float | None, list[str]]:
    try:
        at = (workspace.data_dir / last_check.FILE).stat().st_mtime
    except OSError:
        return None, []
    later = [name for name, (nanoseconds, _) in watch.times(workspace.root).items() if nanoseconds > at * 1e9]
    more = [f"{len(later) - MAX_NAMED} more"] if len(later) > MAX_NAMED else []
    return at, [*later[:MAX_NAMED], *more]
