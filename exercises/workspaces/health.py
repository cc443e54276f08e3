"""Whether a workspace is whole, one sentence for each thing looked at, and how a broken state file is made again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from exercises.errors import ExerciseError
from exercises.workspaces.state import BrokenState, State
from exercises.workspaces.workspace import Workspace

OK, WARNING, WRONG = "ok", "warning", "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    verdict: str
    says: str


def examine(workspace: Workspace) -> Iterator[Finding]:
    """The state, the snapshots, an interrupted change and files that wait to be merged."""
    try:
        step = workspace.step
        workspace.store.get(workspace.state.entered)
    except ExerciseError as error:
        yield Finding("state", WRONG, f"{error} Repair: exercises doctor --repair")
    else:
        yield Finding("state", OK, f"at {step.label}")
    bad = [s.number for s in workspace.store.all() if workspace.store.missing_files(s)]
    good = len(workspace.store.all()) - len(bad)
    if bad or good < len(workspace.store.numbers()):
        yield Finding("snapshots", WARNING, f"{good} of {len(workspace.store.numbers())} are whole")
    else:
        yield Finding("snapshots", OK, f"{good}, all whole")
    if workspace.changer.interrupted:
        yield Finding(
            "change", WARNING, "one was interrupted; the next command that changes something finishes it"
        )
    if left := workspace.incoming():
        yield Finding(
            "incoming", WARNING, f"{len(left)} to merge by hand and then delete: {', '.join(left[:3])}"
        )


def repair(workspace: Workspace) -> str | None:
    """Bring the state file back from its copy or the newest snapshot; a sentence, None when it was whole."""
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
    return f"The state file was made again from {source}: the exercise is {workspace.step.label}."


def _best_state(workspace: Workspace) -> tuple[State, str]:
    known = {step.id for step in workspace.course.steps}
    version = workspace.course.workshop.version
    candidates = [(workspace.state_file.from_copy(), "its copy")]
    candidates += [(s.state, f"snapshot {s.number}") for s in reversed(workspace.store.all())]
    for state, source in candidates:
        if state and state.exercise in known and state.version == version:
            return state, source
    raise BrokenState(
        "Neither the copy of the state nor a snapshot helps; take a reference state: exercises jump 1"
    )
