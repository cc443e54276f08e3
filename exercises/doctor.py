"""Looks at everything that an exercise stands on, and says in one sentence each what is wrong and what to do."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from exercises import bench
from exercises.errors import ExerciseError
from exercises.machine import Watcher
from exercises.state import BrokenState, State
from exercises.workspace import Workspace
from microservices.launcher import LauncherError, gateway
from microservices.launcher.ports import Ports

LEAST_DISK = 500_000_000
LEAST_MEMORY = 700_000_000
LOOK_SECONDS = 1.6
PORTS = 30
OK, WARNING, WRONG = "ok", "warning", "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    verdict: str
    says: str


def examine(workspace: Workspace) -> Iterator[Finding]:
    """Look at the machine, then at the workspace."""
    yield _python()
    yield _gateway()
    yield _ports()
    yield from _room(workspace.root)
    yield _busyness()
    if not workspace.own.is_dir():
        yield Finding("workspace", WARNING, f"there is none at {workspace.root}; exercises start makes one")
        return
    yield _leftovers(workspace)
    yield from _health(workspace)


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


def _python() -> Finding:
    version = platform.python_version()
    missing = [name for name in ("flask", "granian", "sqlalchemy") if not _is_installed(name)]
    if missing:
        return Finding(
            "python", WRONG, f"{', '.join(missing)} not installed for {sys.executable}; run make install"
        )
    return Finding("python", OK, f"{version} at {sys.executable}")


def _gateway() -> Finding:
    if not gateway.caddy().exists():
        return Finding("gateway", WRONG, f"caddy is not beside {sys.executable}; run make install")
    return Finding("gateway", OK, "caddy is installed")


def _ports() -> Finding:
    try:
        Ports(PORTS).release()
    except (LauncherError, OSError) as error:
        return Finding("ports", WRONG, str(error))
    return Finding("ports", OK, f"{PORTS} free ones found on loopback")


def _room(root: Path) -> Iterator[Finding]:
    there = next(folder for folder in (root, *root.parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    verdict = OK if free >= LEAST_DISK else WRONG
    advice = "" if verdict == OK else f"; free at least {LEAST_DISK // 1_000_000} MB"
    yield Finding("disk", verdict, f"{free // 1_000_000:,} MB free at {there}{advice}")
    if not os.access(there, os.W_OK):
        yield Finding("disk", WRONG, f"{there} may not be written to; choose another place with --workspace")
    for folder in (there, Path(tempfile.gettempdir())):
        try:
            with tempfile.NamedTemporaryFile(dir=folder) as probe:
                probe.write(b"x" * 4096)
        except OSError as error:
            yield Finding("disk", WRONG, f"nothing can be written to {folder}: {error.strerror}")
    memory = psutil.virtual_memory().available
    enough = memory >= LEAST_MEMORY
    told = "" if enough else "; close some programs, or the shops will be slow"
    yield Finding("memory", OK if enough else WARNING, f"{memory // 1_000_000:,} MB available{told}")


def _busyness() -> Finding:
    began = time.monotonic()
    with Watcher() as watcher:
        time.sleep(LOOK_SECONDS)
        now = watcher.since(began)
    if now.is_busy:
        return Finding("load", WARNING, f"{now}; checks that depend on time will be inconclusive")
    return Finding("load", OK, str(now))


def _leftovers(workspace: Workspace) -> Finding:
    try:
        with workspace.locked("doctor", lambda _: None):
            ended = sum(bench.sweep(workspace.own / kind) for kind in ("check", "serve"))
    except ExerciseError as error:
        return Finding("leftovers", OK, f"not looked for: {error}")
    return Finding("leftovers", OK, f"{ended} processes of a killed command ended" if ended else "none")


def _health(workspace: Workspace) -> Iterator[Finding]:
    try:
        step = workspace.step
        workspace.store.get(workspace.state.entered)
    except ExerciseError as error:
        yield Finding("state", WRONG, f"{error} Repair: exercises doctor --repair")
    else:
        yield Finding("state", OK, f"at {step.label}")
    bad = [s.number for s in workspace.store.all() if workspace.store.problems(s)]
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


def _is_installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None
