"""A simulated learner who goes through a course by the command alone, with all that goes wrong on the way."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from unittest import mock

from click.testing import CliRunner

from exercises import cli
from exercises.course.course import Course, Step

TIMEOUT_SECONDS = 600


@dataclass
class Learner:
    """Types commands and edits files; whatever he wrote himself he wants to find again."""

    course: Course
    workspace: Path
    in_here: bool = False
    """Whether commands run in this process, which is faster, or each in one of its own."""
    patient: bool = True
    """Whether a check that makes load is waited for."""
    notes: dict[str, str] = field(default_factory=dict)
    """His own files, by path."""

    def type(self, *words: str, status: int | None = 0) -> str:
        """Run a command; returns what it printed."""
        came, out, err = self._in_here(words) if self.in_here else self._as_a_process(words)
        assert status is None or came == status, f"{words}: {came}\n{out}{err}"
        return out

    def ask(self, *words: str, status: int | None = 0) -> Any:
        """Run a command with --json."""
        return json.loads(self.type(*words, "--json", status=status))

    def type_until_the_power_is_cut(self, *words: str, seconds: float) -> None:
        """Run a command and kill it after that time, if it still runs."""
        process = subprocess.Popen(
            self._command(words), env=self._env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(seconds)  # the moment of the cut is the point
        process.send_signal(signal.SIGKILL)
        process.wait()

    def write(self, relpath: str, text: str) -> None:
        """Write a file of his own."""
        path = self.workspace / relpath
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self.notes[relpath] = text

    def solve(self, step: Step) -> None:
        """Type the solution in: what differs between the beginning and the end of the exercise."""
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

    def merge_what_came(self) -> None:
        """Take every file that lies beside one of his own, and delete it there."""
        for incoming in self.ask("status")["incoming"]:
            ours = self.workspace / incoming
            ours.replace(self.workspace / incoming.removesuffix(".incoming"))

    def check(self, *, status: int | None) -> dict[str, Any]:
        """The report of the checks."""
        report: dict[str, Any] = self.ask("check", *([] if self.patient else ["--quick"]), status=status)
        return report

    def advance(self) -> None:
        """To the next exercise; without the load checks an exercise does not count as passed."""
        self.type("next", *([] if self.patient else ["--anyway"]))
        self.merge_what_came()

    def has_everything(self) -> None:
        """All files of his own are as he wrote them."""
        for relpath, text in self.notes.items():
            assert (self.workspace / relpath).read_text(encoding="utf-8") == text, relpath

    def _in_here(self, words: tuple[str, ...]) -> tuple[int, str, str]:
        return in_this_process(words, self._own())

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
        return {**os.environ, **self._own()}

    def _own(self) -> dict[str, str]:
        return {"EXERCISES_WORKSPACE": str(self.workspace), "EXERCISES_COURSE": str(self.course.folder)}


class _Main:
    """Lets click's runner call our main, which turns errors into sentences."""

    name = "exercises"

    def main(self, *_arguments: object, **_options: object) -> None:
        cli.main()


def in_this_process(words: tuple[str, ...], env: dict[str, str], answer: str = "") -> tuple[int, str, str]:
    """Run a command without a process of its own; exit status, standard output and error."""
    with (
        mock.patch.object(sys, "argv", ["exercises", *words]),
        mock.patch.object(cli, "_interrupt_once"),  # the signals belong to pytest
    ):
        done = CliRunner().invoke(cast("Any", _Main()), [], input=answer, env=env)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def walks_straight(learner: Learner) -> None:
    """Start, then each exercise: not yet, solve, pass, next; to the end."""
    learner.type("start")
    for step in learner.course.steps:
        assert learner.ask("status")["exercise"] == step.label
        report = learner.check(status=None)
        assert report["result"] == "not yet", report
        learner.solve(step)
        report = learner.check(status=0)
        assert report["result"] == "pass", report
        if learner.course.after(step):
            learner.advance()
    assert learner.type("next", "--anyway", status=2) == ""


def walks_crooked(learner: Learner, luck: random.Random) -> None:
    """The same with files of his own, jumps, resets, restores, and the power cut in the middle of it all."""
    learner.type("start")
    learner.write("notes.md", "to remember\n")
    for step in learner.course.steps:
        learner.write(f"scratch/{step.id}.py", f"TRIED = {luck.random()}\n")
        mine = learner.ask("save", "my own state")["snapshot"]
        here = learner.ask("status")["exercise"]
        other = luck.choice(learner.course.steps)
        learner.type("jump", other.number)
        learner.has_everything()
        learner.type("restore", str(mine))
        assert learner.ask("status")["exercise"] == here == step.label
        command = luck.choice([("reset",), ("jump", step.number), ("solution", "--take", "--yes")])
        learner.type_until_the_power_is_cut(*command, seconds=luck.uniform(0.1, 0.8))
        learner.type("restore", str(mine))
        learner.has_everything()
        assert learner.ask("status")["exercise"] == step.label
        learner.type("solution", "--take", "--yes")
        if learner.course.after(step):
            learner.type_until_the_power_is_cut("next", "--anyway", seconds=luck.uniform(0.1, 0.8))
            if learner.ask("status")["exercise"] == step.label:
                learner.type("save")  # what was interrupted is finished by any command that writes
            if learner.ask("status")["exercise"] == step.label:
                learner.type("next", "--anyway")
            learner.merge_what_came()
        learner.has_everything()
    report = learner.check(status=0)
    assert report["result"] == "pass", report
    numbers = [int(n) for n in re.findall(r"^(\d+)", learner.type("restore"), re.MULTILINE)]
    assert len(numbers) > 2 * len(learner.course.steps)
