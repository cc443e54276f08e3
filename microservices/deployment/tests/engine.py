"""A container engine, and both shops composed on it from a copy of what the images are made of."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from microservices.deployment import facts
from microservices.deployment.gateway_files import PROJECT
from microservices.deployment.secret_values import write_env_files

PARTS = (
    *(
        "Dockerfile",
        ".dockerignore",
        "compose.yaml",
        "requirements-runtime.lock",
        "requirements-gateway.lock",
    ),
    *("containers", "microservices", "monolith", "docs/openapi.yaml"),
)
CACHES = shutil.ignore_patterns("__pycache__", ".venv", "*.egg-info")
BUILD_SECONDS = 900


def docker(*arguments: str, seconds: float = 120, check: bool = True) -> str:
    """The output of a docker command."""
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=seconds, check=False
    )
    assert not check or done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr[-2000:]}"
    return done.stdout


def engine_or_skip() -> None:
    """Skip the test, with the reason, where no engine with Compose answers or where a shop is composed already."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    for command in (["info"], ["compose", "version"]):
        done = subprocess.run(["docker", *command], capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            pytest.skip(f"docker {command[0]} failed: {done.stderr.strip().splitlines()[-1]}")
    label = f"label=com.docker.compose.project={PROJECT}"
    if docker("ps", "--all", "--quiet", "--filter", label) or docker(
        "volume", "ls", "--quiet", "--filter", label
    ):
        pytest.skip(
            f"a project {PROJECT} is composed already; run: docker compose --profile '*' down --volumes"
        )


@dataclass(frozen=True)
class Composed:
    """Both shops on the engine, in a folder of their own."""

    folder: Path
    seconds: dict[str, float]
    """How long things took, by name."""

    @classmethod
    def in_folder(cls, folder: Path) -> Composed:
        """Copy what the images are made of, and make secrets."""
        for part in PARTS:
            source, target = facts.ROOT / part, folder / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=CACHES)
            else:
                shutil.copy(source, target)
        write_env_files(folder / ".shop" / "containers")
        return cls(folder, {})

    def compose(self, *arguments: str, seconds: float = 300) -> str:
        """The output of `docker compose` with both profiles."""
        command = ["compose", "--project-directory", str(self.folder), "--profile", "*", *arguments]
        return docker(*command, seconds=seconds)

    def build(self) -> None:
        self._timed("build", lambda: self.compose("build", "--quiet", seconds=BUILD_SECONDS))

    def up(self, *services: str, scale: dict[str, int] | None = None) -> None:
        """Start these services and what they need; returns when they are healthy."""
        scales = [f"--scale={name}={count}" for name, count in (scale or {}).items()]
        self._timed(
            f"up {services[0]}",
            lambda: self.compose("up", "--detach", "--wait", "--no-build", *scales, *services),
        )

    def _timed(self, name: str, work: Callable[[], object]) -> None:
        started = time.monotonic()
        work()
        self.seconds[name] = round(time.monotonic() - started, 1)


def inspect(what: str) -> dict[str, Any]:
    """What the engine knows of an image or a container."""
    (found,) = json.loads(docker("inspect", what))
    return dict(found)


def run_in(image: str, *command: str) -> str:
    """The output of a command in a new container with one core and no rights."""
    limits = ("--rm", "--cpus=1", "--read-only", "--tmpfs=/tmp", "--network=none", "--cap-drop=ALL")
    return docker("run", *limits, image, *command)


def base_image() -> str:
    """The image that ours were built on: BASE, or the one that the Dockerfile names."""
    (line,) = (line for line in (facts.ROOT / "Dockerfile").read_text().splitlines() if "ARG BASE=" in line)
    return os.environ.get("BASE") or line.partition("=")[2]
