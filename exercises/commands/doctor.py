"""The command doctor: examines the machine and the workspace, and reports each finding in one sentence."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import click
import psutil

from exercises.commands.options import find_workspace, json_option, workspace_option
from exercises.commands.output import Printer
from exercises.errors import ExerciseError, Exit
from exercises.workspaces import health
from exercises.workspaces.health import OK, WARNING, WRONG, Finding
from exercises.workspaces.workspace import Workspace

MIN_DISK_BYTES = 500_000_000
MIN_MEMORY_BYTES = 700_000_000
LOOK_SECONDS = 1.6
PORTS = 30
FIND_SECONDS = 20.0
FIND = """
import sys
from importlib.util import find_spec

for name in sys.argv[1:]:
    if spec := find_spec(name):
        print(name, spec.origin or list(spec.submodule_search_locations)[0])
"""
"""Prints where Python finds each package that is named."""


@click.command()
@workspace_option
@json_option
@click.option("--repair", is_flag=True, help="Restore a broken state file from its copy or a snapshot.")
def doctor(folder: Path | None, as_json: bool, repair: bool) -> None:
    """Examine Python, ports, disk, leftover processes, the machine's load and the workspace."""
    printer, workspace = Printer(as_json=as_json), find_workspace(folder)
    if repair:
        printer.say(health.repair(workspace) or "The state file is valid; nothing was repaired.")
    findings = []
    for finding in _examine(workspace):
        printer.item(finding.verdict, f"{finding.what}: {finding.says}", width=9)
        findings.append({"what": finding.what, "verdict": finding.verdict, "says": finding.says})
    printer.data(findings)
    sys.exit(Exit.NOT_YET if any(f["verdict"] == WRONG for f in findings) else Exit.PASS)


def _examine(workspace: Workspace) -> Iterator[Finding]:
    """Examine the machine, then the workspace."""
    yield _python()
    yield _gateway()
    yield _ports()
    yield from _disk_and_memory(workspace.root)
    yield _load()
    if not workspace.data_dir.is_dir():
        yield Finding("workspace", WARNING, f"there is none at {workspace.root}; exercises start makes one")
        return
    yield _leftovers(workspace)
    yield from _seal(workspace)
    yield from health.examine(workspace)


def _python() -> Finding:
    version = platform.python_version()
    missing = [name for name in ("flask", "granian", "sqlalchemy") if find_spec(name) is None]
    if missing:
        return Finding(
            "python", WRONG, f"{', '.join(missing)} not installed for {sys.executable}; run make install"
        )
    return Finding("python", OK, f"{version} at {sys.executable}")


def _gateway() -> Finding:
    from microservices.launcher import gateway

    if not gateway.caddy().exists():
        return Finding("gateway", WRONG, f"caddy is not beside {sys.executable}; run make install")
    return Finding("gateway", OK, "caddy is installed")


def _ports() -> Finding:
    from microservices.launcher import LauncherError
    from microservices.launcher.ports import Ports

    try:
        Ports(PORTS).release()
    except (LauncherError, OSError) as error:
        return Finding("ports", WRONG, str(error))
    return Finding("ports", OK, f"{PORTS} free ones found on loopback")


def _disk_and_memory(root: Path) -> Iterator[Finding]:
    there = next(folder for folder in (root, *root.parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    verdict = OK if free >= MIN_DISK_BYTES else WRONG
    advice = "" if verdict == OK else f"; free at least {MIN_DISK_BYTES // 1_000_000} MB"
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
    enough = memory >= MIN_MEMORY_BYTES
    advice = "" if enough else "; close some programs, or the shops will be slow"
    yield Finding("memory", OK if enough else WARNING, f"{memory // 1_000_000:,} MB available{advice}")


def _load() -> Finding:
    from exercises.checks.machine import Watcher

    began = time.monotonic()
    with Watcher() as watcher:
        time.sleep(LOOK_SECONDS)
        now = watcher.since(began)
    if now.is_busy:
        return Finding("load", WARNING, f"{now}; checks that depend on time will be inconclusive")
    return Finding("load", OK, str(now))


def _seal(workspace: Workspace) -> Iterator[Finding]:
    from microservices.sealing import UNSEALED, in_workspace

    by_hand = {name: value for name, value in os.environ.items() if name != UNSEALED}
    if outside := _found_outside(workspace.root, in_workspace(by_hand, workspace.root)):
        yield Finding(
            "seal",
            WRONG,
            f"code that you delete may still be found, because Python finds {outside}; "
            "unset PYTHONPATH, run make install and look again",
        )
    elif outside := _found_outside(workspace.root, by_hand):
        yield Finding(
            "seal",
            WARNING,
            f"the checks are right, but a program that you start by hand in the workspace finds {outside}; "
            "to change that: python -m microservices.sealing",
        )
    else:
        yield Finding("seal", OK, "programs in the workspace find its own code and the libraries only")


def _found_outside(root: Path, env: Mapping[str, str]) -> str:
    """Packages of the course that a Python process in the workspace finds elsewhere; empty when there are none."""
    from exercises.checks import programs
    from microservices.sealing import PACKAGES

    ran = programs.run(("-c", FIND, *PACKAGES), root, env, FIND_SECONDS)
    found = [line.split(" ", 1) for line in ran.out.splitlines()]
    here = root.resolve()
    outside = [
        f"{name} in {where}" for name, where in found if not Path(where).resolve().is_relative_to(here)
    ]
    return ", ".join(outside) or (f"an error: {ran.err.splitlines()[-1:]}" if ran.status else "")


def _leftovers(workspace: Workspace) -> Finding:
    from exercises.checks.leftovers import sweep

    try:
        with workspace.locked("doctor", lambda _: None):
            ended = sum(sweep(workspace.data_dir / kind) for kind in ("check", "serve"))
    except ExerciseError as error:
        return Finding("leftovers", OK, f"not examined: {error}")
    return Finding("leftovers", OK, f"{ended} processes of a killed command ended" if ended else "none")
