"""The command run: Python beside the served shop, as one of its services."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from exercises.commands.options import open_workspace, workspace_option
from exercises.errors import ExerciseError
from exercises.workspaces.workspace import Workspace

ENVIRONMENTS = "environments.json"
"""In the folder of a served shop: the environment of each service, with its key, so only its owner may read it."""


@click.command(context_settings={"allow_interspersed_args": False})
@workspace_option
@click.argument("service")
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED)
def run(folder: Path | None, service: str, arguments: tuple[str, ...]) -> None:
    """Run Python with ARGUMENTS beside the shop that `exercises serve` runs, with all that SERVICE is given there: its
    database, its key, and the addresses of the services that it calls.

    For example: exercises run monolith -m monolith.inventory.move --help
    """
    workspace = open_workspace(folder)
    env = _environment(workspace, service)
    os.chdir(workspace.root)
    os.execve(sys.executable, [sys.executable, *arguments], env)  # noqa: S606 -- no shell, and the learner's own code


def _environment(workspace: Workspace, service: str) -> dict[str, str]:
    """The environment of a service of the shop that is served from this workspace; ExerciseError without one."""
    written = sorted(
        (workspace.data_dir / "serve" / "shops").glob(f"*/{ENVIRONMENTS}"),
        key=lambda file: file.stat().st_mtime,
    )
    if not written:
        raise ExerciseError("Your shop is not being served; start exercises serve in another terminal first.")
    found: dict[str, dict[str, str]] = json.loads(written[-1].read_text(encoding="utf-8"))
    if service not in found:
        raise ExerciseError(f"Your shop has no service {service}; its services are {', '.join(found)}.")
    return found[service]


def write_environments(shop: Any, file: Path) -> None:
    """Write what `run` needs. A monolith that runs alone has no other services, and no file."""
    if shop.fleet:
        services = [service.name for service in shop.fleet.topology.services]
        file.touch(mode=0o600)
        file.write_text(json.dumps({name: shop.environment(name) for name in services}), encoding="utf-8")
