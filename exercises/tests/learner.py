"""A simulated learner who goes through a course with the command, also with mistakes and power cuts."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from unittest import mock

from click.testing import CliRunner

from exercises import cli
from exercises.checks import open_shop
from exercises.checks.open_shop import OpenShop
from exercises.course.course import Course, Step
from exercises.workspaces.workspace import Workspace

TIMEOUT_SECONDS = 600


@dataclass
class Learner:
    """Runs commands and edits files. No command may lose what the learner wrote."""

    course: Course
    workspace: Path
    in_process: bool = False
    """Whether commands run in this process, which is faster, or each in a process of its own."""
    with_load: bool = True
    """Whether checks that make load are run."""
    own_files: dict[str, str] = field(default_factory=dict)
    """The files that the learner wrote, by path."""

    def run(self, *words: str, status: int | None = 0) -> str:
        """Run a command; returns its output."""
        actual, out, err = self._in_this_process(words) if self.in_process else self._as_a_process(words)
        assert status is None or actual == status, f"{words}: {actual}\n{out}{err}"
        return out

    def ask(self, *words: str, status: int | None = 0) -> Any:
        """Run a command with --json; returns the value."""
        return json.loads(self.run(*words, "--json", status=status))

    def run_and_kill(self, *words: str, seconds: float) -> None:
        """Run a command, and kill it after that time when it still runs."""
        process = subprocess.Popen(
            self._command(words), env=self._env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(seconds)  # the moment of the cut is the point
        process.send_signal(signal.SIGKILL)
        process.wait()

    def write(self, relpath: str, text: str) -> None:
        """Write a file of the learner's own."""
        path = self.workspace / relpath
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self.own_files[relpath] = text

    def solve(self, step: Step) -> None:
        """Write the solution: all files that differ between the start and the solution of the exercise."""
        start, solution = self.course.state(step, "start"), self.course.state(step, "solution")
        for relpath in {*start, *solution}:
            if start.get(relpath) == solution.get(relpath):
                continue
            path = self.workspace / relpath
            if relpath in solution:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(solution[relpath].read_bytes())
            else:
                path.unlink(missing_ok=True)

    def merge_incoming(self) -> None:
        """Replace each of the learner's files by the version beside it."""
        for incoming in self.ask("status")["incoming"]:
            ours = self.workspace / incoming
            ours.replace(self.workspace / incoming.removesuffix(".incoming"))

    def check(self, *, status: int | None) -> dict[str, Any]:
        """Run the checks; returns their report."""
        report: dict[str, Any] = self.ask("check", *([] if self.with_load else ["--quick"]), status=status)
        return report

    def advance(self) -> None:
        """Go on to the next exercise. Without the load checks an exercise does not count as passed."""
        self.run("next", *([] if self.with_load else ["--anyway"]))
        self.merge_incoming()

    def assert_own_files_are_unchanged(self) -> None:
        """All files that the learner wrote are as they were written."""
        for relpath, text in self.own_files.items():
            assert (self.workspace / relpath).read_text(encoding="utf-8") == text, relpath

    def _in_this_process(self, words: tuple[str, ...]) -> tuple[int, str, str]:
        return in_this_process(words, self._settings())

    def _as_a_process(self, words: tuple[str, ...]) -> tuple[int, str, str]:
        done = subprocess.run(
            self._command(words),
            env=self._env(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def _command(self, words: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "exercises", *words]

    def _env(self) -> dict[str, str]:
        return {**os.environ, **self._settings()}

    def _settings(self) -> dict[str, str]:
        return {"EXERCISES_WORKSPACE": str(self.workspace), "EXERCISES_COURSE": str(self.course.folder)}


def write_answer(workspace: Workspace, which: str) -> None:
    """Write an answer of the current exercise, such as "wrong/patient", into the workspace, as an editor does."""
    step, course = workspace.step, workspace.course
    for relpath, source in course.state(step, which).items():
        if source != course.state(step, "start").get(relpath):
            target = workspace.root / relpath
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())


@contextmanager
def served_shop(workspace: Workspace, port: int) -> Iterator[OpenShop]:
    """The shop of a workspace, opened as in a terminal, and ready."""
    settings = {"EXERCISES_WORKSPACE": str(workspace.root), "EXERCISES_COURSE": str(workspace.course.folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "exercises", "serve", "--port", str(port)],
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
    )
    try:
        yield _when_ready(process, workspace.data_dir / "serve")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def _when_ready(process: subprocess.Popen[bytes], folder: Path) -> OpenShop:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "exercises serve has ended"
        found = open_shop.find(folder)
        if found and found.steered and all(member.phase() == "ready" for member in found.members):
            return found
        time.sleep(0.05)
    raise AssertionError("the shop is not ready")


class _Main:
    """Lets click's test runner call our main, which turns errors into sentences."""

    name = "exercises"

    def main(self, *_arguments: object, **_options: object) -> None:
        cli.main()


def in_this_process(words: tuple[str, ...], env: dict[str, str], answer: str = "") -> tuple[int, str, str]:
    """Run a command in this process; returns exit status, standard output and standard error."""
    with (
        mock.patch.object(sys, "argv", ["exercises", *words]),
        mock.patch.object(cli, "stop_at_the_first_signal"),  # the signals belong to pytest
    ):
        done = CliRunner().invoke(cast("Any", _Main()), [], input=answer, env=env)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def complete_in_order(learner: Learner) -> None:
    """Start; then, for each exercise: not yet, solve, pass, next."""
    learner.run("start")
    for step in learner.course.steps:
        assert learner.ask("status")["exercise"] == step.label
        report = learner.check(status=None)
        assert report["result"] == "not yet", report
        learner.solve(step)
        report = learner.check(status=0)
        assert report["result"] == "pass", report
        if learner.course.after(step):
            learner.advance()
    assert learner.run("next", "--anyway", status=2) == ""


def complete_with_detours(learner: Learner, rng: random.Random) -> None:
    """The same with files of the learner's own, jumps, resets, restores and power cuts."""
    learner.run("start")
    learner.write("notes.md", "to remember\n")
    for step in learner.course.steps:
        learner.write(f"scratch/{step.id}.py", f"TRIED = {rng.random()}\n")
        mine = learner.ask("save", "my own state")["snapshot"]
        here = learner.ask("status")["exercise"]
        other = rng.choice(learner.course.steps)
        learner.run("jump", other.number)
        learner.assert_own_files_are_unchanged()
        learner.run("restore", str(mine))
        assert learner.ask("status")["exercise"] == here == step.label
        command = rng.choice([("reset",), ("jump", step.number), ("solution", "--take", "--yes")])
        learner.run_and_kill(*command, seconds=rng.uniform(0.1, 0.8))
        learner.run("restore", str(mine))
        learner.assert_own_files_are_unchanged()
        assert learner.ask("status")["exercise"] == step.label
        learner.run("solution", "--take", "--yes")
        if learner.course.after(step):
            learner.run_and_kill("next", "--anyway", seconds=rng.uniform(0.1, 0.8))
            if learner.ask("status")["exercise"] == step.label:
                learner.run("save")  # any command that writes finishes an interrupted change
            if learner.ask("status")["exercise"] == step.label:
                learner.run("next", "--anyway")
            learner.merge_incoming()
        learner.assert_own_files_are_unchanged()
    report = learner.check(status=0)
    assert report["result"] == "pass", report
    numbers = [int(n) for n in re.findall(r"^(\d+)", learner.run("restore"), re.MULTILINE)]
    assert len(numbers) > 2 * len(learner.course.steps)
