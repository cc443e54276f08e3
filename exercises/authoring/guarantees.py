"""Verifies what the course promises: a start is "not yet", a right answer passes, a wrong one fails with its words.

`exercises dev verify` and the tests run the same trials.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from exercises.authoring.mutation.warm import forked
from exercises.authoring.overlays import Overlay, overlays
from exercises.checks import programs
from exercises.checks.bench import CheckBench
from exercises.checks.loading import checks_of
from exercises.checks.results import Outcome, Report, Verdict
from exercises.checks.runner import Choice, run_checks
from exercises.course.course import Course, Step
from exercises.course.manifest import Alternative, Mistake
from exercises.errors import CourseError
from microservices.sealing import HERE

ACCEPTANCE = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "loadtests/contract/acceptance", "--shop-url")
ACCEPTANCE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One state of one exercise, to be checked."""

    step: Step
    which: str
    overlay: Overlay

    @property
    def label(self) -> str:
        """The name in messages."""
        return f"{self.step.label}/{self.which}"


@dataclass(frozen=True, slots=True)
class TrialResult:
    """The result of a trial."""

    trial: Trial
    problem: str
    """Why the promise is broken; empty when it is kept."""
    seconds: float
    inconclusive: bool = False
    report: Report | None = None


def trials(course: Course, chosen: list[Step] | None = None) -> Iterator[Trial]:
    """All states of the chosen exercises."""
    for each in overlays(course):
        if chosen is None or each.step in chosen:
            yield Trial(each.step, each.which, each)


def run_trial(
    course: Course, trial: Trial, *, load: bool, seed: int | None = None, choice: Choice | None = None
) -> TrialResult:
    """Check a state in a temporary folder and compare the result with the promise."""
    choice = choice or _choice(trial, load=load)
    if choice is None:
        return TrialResult(trial, "", 0.0)
    try:
        tree = trial.overlay.result
    except CourseError as error:
        return TrialResult(trial, str(error), 0.0)
    folder = Path(tempfile.mkdtemp(prefix="exercises-"))
    try:
        workspace = folder / "workspace"
        course.write(tree, workspace)
        with _starts(trial):
            report = run_checks(course, trial.step, workspace, folder / "home", choice=choice, seed=seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    problem, inconclusive = _judge(trial, report)
    return TrialResult(trial, problem, report.seconds, inconclusive, report)


def checks_never_failed(chosen: list[Step], started: dict[str, Report]) -> Iterator[str]:
    """A sentence for each check that fails neither at the start (reports by exercise id) nor for a wrong answer."""
    for step in chosen:
        failed = {wrong.check for wrong in step.manifest.wrong}
        if step.id in started:
            failed |= {o.check.id for o in started[step.id].outcomes if o.verdict is Verdict.NOT_YET}
        for check in checks_of(step):
            if check.id not in failed:
                yield f"{step.label}: neither the start nor a wrong answer fails the check {check.id}."


def run_acceptance(course: Course, step: Step, say: Callable[[str], None] = lambda _: None) -> str:
    """Run the acceptance suite on a solution; returns why it fails, empty when it passes."""
    folder = Path(tempfile.mkdtemp(prefix="exercises-"))
    try:
        course.write(course.state(step, "solution"), folder / "workspace")
        bench = CheckBench(course, folder / "workspace", folder / "home", seed=1)
        try:
            shop = bench.shop(env={"SHOP_PRODUCTS": "400", "SHOP_CUSTOMERS": "200", "SHOP_ORDERS": "1000"})
            ran = programs.run((*ACCEPTANCE, shop.url), course.repository, {}, ACCEPTANCE_SECONDS)
        finally:
            bench.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    lines = [line for line in ran.out.splitlines() if line.strip()]
    say(lines[-1] if lines else "")
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return "" if ran.status == 0 else "; ".join([*failed[:5], *lines[-1:]]) or ran.err[-500:]


def _starts(trial: Trial) -> AbstractContextManager[None]:
    """A wrong answer's processes are forks, because starting them is most of the work. Right ones start as always."""
    return forked(HERE) if isinstance(trial.overlay.variant, Mistake) else nullcontext()


def _choice(trial: Trial, *, load: bool) -> Choice | None:
    wrong = trial.overlay.variant
    if isinstance(wrong, Mistake):
        check = next(each for each in checks_of(trial.step) if each.id == wrong.check)
        return None if check.load and not load else Choice(quick=not load, earlier=False, only=(wrong.check,))
    return Choice(quick=not load, earlier=trial.which == "solution")


def _judge(trial: Trial, report: Report) -> tuple[str, bool]:
    """Why the promise is broken (empty when it is kept), and whether the result is inconclusive."""
    seen = {verdict: [o for o in report.outcomes if o.verdict is verdict] for verdict in Verdict}
    if seen[Verdict.TOOL_ERROR]:
        return _text_of(seen[Verdict.TOOL_ERROR][0]), False
    wrong = trial.overlay.variant
    if isinstance(wrong, Alternative) or trial.which == "solution":
        if seen[Verdict.NOT_YET]:
            return _text_of(seen[Verdict.NOT_YET][0]), False
    elif wrong is None:
        if not seen[Verdict.NOT_YET] and not seen[Verdict.INCONCLUSIVE]:
            skipped = bool(seen[Verdict.SKIPPED])
            return (
                "" if skipped else "every check passes at the start, before the learner has done anything"
            ), False
    else:
        if not seen[Verdict.NOT_YET] and not seen[Verdict.INCONCLUSIVE]:
            return f"the check {wrong.check} passes", False
        for outcome in seen[Verdict.NOT_YET]:
            if _flat(wrong.words) not in _flat(_text_of(outcome)):
                return f"the words {wrong.words!r} are not in: {_text_of(outcome)}", False
    return "", bool(seen[Verdict.INCONCLUSIVE])


def _text_of(outcome: Outcome) -> str:
    text = f"{outcome.check.id}: {outcome.reason}"
    if outcome.failure:
        failed = outcome.failure
        text += (
            f" {failed.did} | expected {failed.expected} | got {failed.got} | {failed.why} | {failed.look}"
        )
        text += "".join(f" | {line}" for _, lines in outcome.logs for line in lines[-3:])
    return text


def _flat(text: str) -> str:
    return " ".join(text.split()).lower()
