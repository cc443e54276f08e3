"""A process that tries one mutant after the other: it reads a JSON line for each, and answers with one.

It is a process of its own so that it can be killed with a mutant that hangs, and so that a mutated topology.py, which
is imported here, does no harm. SIGTERM ends it and the shops that it has started.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import FrameType

from exercises.authoring.mutation import warm
from exercises.authoring.mutation.results import End, Result
from exercises.checks.results import Outcome, Report, Verdict
from exercises.checks.runner import Choice, run_checks
from exercises.checks.standin import scratch
from exercises.course.course import Course, Step
from microservices.sealing import HERE

SEED = 1
"""All mutants get the same data and the same random choices, so that a run can be repeated."""
CHOICE = Choice(earlier=False, until_failure=True)


@dataclass(frozen=True, slots=True)
class Job:
    """The solution with another content of one file; the solution itself when no file is named."""

    file: str = ""
    content: str = ""
    first: str = ""
    """Id of the check that will probably catch it: it has caught a mutant nearby."""
    usual: dict[str, float] = field(default_factory=dict)
    """Seconds that each check takes with the solution itself."""


def main() -> None:
    """Answer until standard input ends. Arguments: the course's folder, the exercise, a folder to write to."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command itself ends this process
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a check prints is no answer
    folder, name, home = sys.argv[1:]
    course = Course(Path(folder))
    trial = Trial(course, course.step(name), Path(home))
    with warm.forked(HERE):
        for line in sys.stdin:
            result = trial.run(Job(**json.loads(line)))
            answers.write(f"{json.dumps(asdict(result))}\n")
            answers.flush()


@dataclass(slots=True)
class Trial:
    """Checks the solution, with changes."""

    course: Course
    step: Step
    home: Path
    alone: dict[str, bool] = field(default_factory=dict)
    """Whether the solution passes a check that runs first, by the check's id."""

    def run(self, job: Job) -> Result:
        """Check the solution with one change."""
        if job.first and job.first not in self.alone:
            report = self._check(Job(), replace(CHOICE, only=(job.first,)))
            self.alone[job.first] = judge(report).end is End.SURVIVED
        first = job.first if self.alone.get(job.first) else ""
        return judge(self._check(job, replace(CHOICE, first=first, usual=job.usual)))

    def _check(self, job: Job, choice: Choice) -> Report:
        workspace = self.home / "workspace"
        for path in (workspace, *scratch().iterdir()):  # nothing of one mutant may reach the next
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        solution = self.course.state(self.step, "solution")
        self.course.write(
            {relpath: path for relpath, path in solution.items() if relpath != job.file}, workspace
        )
        if job.file:
            (workspace / job.file).parent.mkdir(parents=True, exist_ok=True)
            (workspace / job.file).write_text(job.content, encoding="utf-8")
        return run_checks(self.course, self.step, workspace, self.home, choice=choice, seed=SEED)


def judge(report: Report) -> Result:
    """What the results of the checks say about the mutant."""
    failed = next((each for each in report.outcomes if each.verdict is not Verdict.PASS), None)
    if failed is None:
        took = {each.check.id: round(each.seconds, 2) for each in report.outcomes if each.tries == 1}
        return Result(End.SURVIVED, seconds=report.seconds, took=took)
    ends = {Verdict.NOT_YET: End.CAUGHT, Verdict.TOOL_ERROR: End.BROKE}
    end = End.HUNG if failed.hung else ends.get(failed.verdict, End.UNDECIDED)
    return Result(end, failed.check.id, _words(failed), report.seconds)


def _words(outcome: Outcome) -> str:
    failure = outcome.failure
    return f"expected {failure.expected}; got {failure.got}" if failure else outcome.reason


def _stop(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(1)
