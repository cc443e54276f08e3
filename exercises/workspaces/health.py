"""Examines a workspace, with one sentence for each finding, and restores a broken state file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from exercises import files
from exercises.errors import ExerciseError
from exercises.workspaces.state import BrokenState, State
from exercises.workspaces.workspace import Workspace

OK, WARNING, WRONG = "ok", "warning", "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of examining one thing."""

    what: str
    verdict: str
    says: str


def examine(workspace: Workspace) -> Iterator[Finding]:
    """Examine the state, the snapshots, an interrupted change, and files that are still to be merged."""
    try:
        step = workspace.step
        workspace.store.get(workspace.state.entered)
    except ExerciseError as error:
        yield Finding("state", WRONG, f"{error} Repair: exercises doctor --repair")
    else:
        yield Finding("state", OK, f"at {step.label}")
        if changed := workspace.changed_upstream().wanted:
            yield Finding(
                "course", WARNING, f"{len(changed)} files changed in it; exercises update brings them"
            )
    bad = [s.number for s in workspace.store.all() if workspace.store.missing_files(s)]
    good = len(workspace.store.all()) - len(bad)
    if bad or good < len(workspace.store.numbers()):
        yield Finding("snapshots", WARNING, f"{good} of {len(workspace.store.numbers())} are complete")
    else:
        yield Finding("snapshots", OK, f"{good}, all complete")
    if workspace.changer.interrupted:
        yield Finding(
            "change", WARNING, "one was interrupted; the next command that changes something will finish it"
        )
    if names := files.unreadable_names(workspace.root):
        yield Finding(
            "names",
            WARNING,
            f"not copied by any command, because the name is not UTF-8: {', '.join(names[:3])}",
        )
    if left := workspace.incoming():
        yield Finding(
            "incoming", WARNING, f"{len(left)} to merge by hand and then delete: {', '.join(left[:3])}"
        )


def repair(workspace: Workspace) -> str | None:
    """Restore the state file from its copy or the newest snapshot; returns a sentence, None when it was valid."""
    workspace.require()
    try:
        workspace.course.step(workspace.state.exercise)
    except ExerciseError:
        pass
    else:
        return None
    state, source = _best_state(workspace)
    aside = workspace.state_file.path.with_name(f"state.broken-{time.time_ns()}.json")
    if workspace.state_file.path.exists():
        workspace.state_file.path.replace(aside)
    workspace.state_file.write(state)
    return f"The state file was restored from {source}: the exercise is {workspace.step.label}."


def _best_state(workspace: Workspace) -> tuple[State, str]:
    known = {step.id for step in workspace.course.steps}
    candidates = [(workspace.state_file.from_copy(), "its copy")]
    candidates += [(s.state, f"snapshot {s.number}") for s in reversed(workspace.store.all())]
    for state, source in candidates:
        if state and state.exercise in known:
            return state, source
    raise BrokenState(
        "Neither the copy of the state nor a snapshot can be used; take a reference state: exercises jump 1"
    )
