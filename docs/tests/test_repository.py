"""The files around the code are consistent: workflows, hooks, versions and the table of what runs when."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def workflow(path: Path) -> dict[Any, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def make_targets() -> dict[str, list[str]]:
    """Each target of the Makefile with the targets that it needs."""
    found = re.findall(r"^([a-z]+):([a-z ]*?) *(?:##.*)?$", text("Makefile"), re.MULTILINE)
    return {name: needed.split() for name, needed in found}


def commands(job: dict[str, Any]) -> list[str]:
    """The commands of a job's steps, for each value of its matrix."""
    matrix = job.get("strategy", {}).get("matrix", {})
    lines = [step["run"] for step in job["steps"] if "run" in step]
    for name, values in matrix.items():
        place = f"${{{{ matrix.{name} }}}}"
        lines = [line.replace(place, value) for line in lines for value in values if place in line] + [
            line for line in lines if place not in line
        ]
    return lines


def target_of(command: str) -> str:
    """The target of a `make` command, without its variables."""
    return command.removeprefix("make ").partition(" ")[0]


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.name for path in WORKFLOWS])
def test_a_workflow_has_read_rights_and_a_time_limit_and_calls_existing_targets(path: Path) -> None:
    flow = workflow(path)
    assert flow["permissions"] == {"contents": "read"}
    assert flow["concurrency"]
    for job in flow["jobs"].values():
        assert job["timeout-minutes"] <= 120
        for step in job["steps"]:
            assert "uses" not in step or re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
        for command in commands(job):
            assert command == ".ci/run" or target_of(command) in make_targets()


def test_each_change_runs_ci_on_linux_with_postgresql_and_the_tests_on_macos() -> None:
    linux, macos = workflow(ROOT / ".github" / "workflows" / "ci.yml")["jobs"].values()
    assert commands(linux) == [".ci/run"]
    assert linux["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    assert linux["services"]["postgres"]["ports"] == ["5432:5432"]
    assert macos["runs-on"].startswith("macos")
    assert commands(macos) == ["make test"]


def test_the_hooks_call_the_parts_of_make_check() -> None:
    (repository,) = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    called = {hook["entry"].removeprefix("make ") for hook in repository["hooks"]}
    assert called == set(make_targets()["check"])


def test_the_table_of_what_runs_when_agrees_with_the_workflows() -> None:
    section = text("CONTRIBUTING.md").partition("## What runs when")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")] for row in section.splitlines() if "`make" in row
    ]
    table = [row for row in rows if len(row) == 5]
    documented = {
        target: (bool(row[2]), bool(row[3]))
        for row in table
        for target in re.findall(r"`make ([a-z]+)`", row[0])
    }
    in_ci = {*make_targets()["check"], *re.findall(r"^make ([a-z]+)$", text(".ci/run"), re.MULTILINE)} - {
        "check"
    }
    nightly = workflow(ROOT / ".github" / "workflows" / "nightly.yml")["jobs"]["long"]
    at_night = {target_of(command) for command in commands(nightly)}
    assert {target for target, (in_row, _) in documented.items() if in_row} == in_ci
    assert {target for target, (_, in_row) in documented.items() if in_row} == at_night
    assert set(documented) <= set(make_targets())


def test_every_exercise_is_verified_every_night_in_one_part() -> None:
    nightly = workflow(ROOT / ".github" / "workflows" / "nightly.yml")["jobs"]["long"]
    parts = [command for command in commands(nightly) if target_of(command) == "exercises"]
    verified = sorted(number for part in parts for number in re.findall(r"(\d\d)-", part))
    assert verified == sorted(folder.name[:2] for folder in ROOT.glob("exercises/[0-9][0-9]-*"))
    assert [part for part in parts if not re.search(r"\d\d-", part)] == [
        'make exercises ONLY="not test_course"'
    ]


def test_the_dev_container_ends_with_make_install() -> None:
    assert json.loads(text(".devcontainer/devcontainer.json"))["postCreateCommand"] == "make install"
    assert "install" in make_targets()


def test_the_url_of_a_sqlite_file_is_made_by_sqlalchemy_and_never_joined_from_text() -> None:
    folders = ("monolith", "microservices", "loadtests", "exercises")
    sources = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    assert [file for file in sources if "sqlite:///" + "{" in file.read_text(encoding="utf-8")] == []


def test_changelog_citation_and_package_name_one_version() -> None:
    version = tomllib.loads(text("pyproject.toml"))["project"]["version"]
    unreleased, newest = re.findall(r"^## (.+)$", text("CHANGELOG.md"), re.MULTILINE)[:2]
    assert unreleased == "[Unreleased]"
    citation = yaml.safe_load(text("CITATION.cff"))
    assert newest == f"[{version}] - {citation['date-released'].isoformat()}"
    assert citation["version"] == version


LONG_TEST = """
import os, subprocess, sys, time
from pathlib import Path
import pytest

@pytest.fixture
def shop():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    Path(__file__).with_name("pid").write_text(str(process.pid))
    yield
    process.kill()
    process.wait()

def test_that_takes_long(shop):
    time.sleep(600)
"""


@pytest.mark.processes
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_run_of_the_tests_that_is_told_to_stop_ends_what_they_started(workers: str, tmp_path: Path) -> None:
    (tmp_path / "test_long.py").write_text(LONG_TEST)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        ROOT / "pyproject.toml",
        "-p",
        "conftest",
        "-n",
        workers,
    ]
    run = subprocess.Popen(
        [*command, tmp_path / "test_long.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    pid = tmp_path / "pid"
    try:
        while not (pid.is_file() and pid.read_text()):
            assert run.poll() is None
            time.sleep(0.02)
        run.terminate()
        assert run.wait(timeout=30) == pytest.ExitCode.INTERRUPTED
        assert not psutil.pid_exists(int(pid.read_text()))
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
