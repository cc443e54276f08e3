"""The results of the last check, stored in the workspace: for `status`, for hints, and for the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from exercises import files
from exercises.course.course import Step
from exercises.workspaces.workspace import Workspace

FILE = "last-check.json"
KEYS = {"exercise", "check", "result"}


def store(workspace: Workspace, report: Mapping[str, Any], *, keep: bool) -> None:
    """Store a report's results; with `keep`, beside those of the last run's other checks."""
    document = dict(report)
    if keep:
        checked = {(each["exercise"], each["check"]) for each in document["checks"]}
        others = [each for each in results(workspace) if (each["exercise"], each["check"]) not in checked]
        document["checks"] = [*document["checks"], *others]
    files.write(workspace.data_dir / FILE, json.dumps(document).encode())


def results(workspace: Workspace) -> list[dict[str, Any]]:
    """The results of the last run, each as in the report; empty when they cannot be read."""
    try:
        report = json.loads((workspace.data_dir / FILE).read_text(encoding="utf-8"))
        return [each for each in report["checks"] if set(each) >= KEYS]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def by_check(workspace: Workspace, step: Step) -> dict[str, dict[str, Any]]:
    """Check id to what the last run said of it, for the checks of one exercise."""
    return {each["check"]: each for each in results(workspace) if each["exercise"] == step.id}


def last_check(workspace: Workspace, step: Step) -> dict[str, str]:
    """Check id to result, from the last run of this exercise's checks; empty when it cannot be read."""
    return {check_id: each["result"] for check_id, each in by_check(workspace, step).items()}


def task_result(checks: tuple[str, ...], last: Mapping[str, str]) -> str:
    """The result of a task: the worst of its checks."""
    found = [last.get(check_id, "not checked") for check_id in checks]
    for result in ("tool error", "not yet", "inconclusive", "not run", "not checked"):
        if result in found:
            return result
    return "pass"


def open_task(workspace: Workspace, step: Step) -> str:
    """The first task that is not done; the first of all when every one is."""
    last = last_check(workspace, step)
    undone = [task.id for task in step.manifest.tasks if task_result(task.checks, last) != "pass"]
    return (undone or [step.manifest.tasks[0].id])[0]
