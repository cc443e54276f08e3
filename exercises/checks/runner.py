"""Runs checks on a workspace: the exercise's own, then those of earlier exercises that still hold.

A correct shop must never get "not yet" because the machine is busy with other programs. A check that depends on time is
tried up to three times, and is inconclusive when it fails each time on a busy machine. Any other check that fails on a
busy machine is tried once more.
"""

from __future__ import annotations

import math
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from exercises.checks.bench import CheckBench
from exercises.checks.checking import Check, Inconclusive, NotYet
from exercises.checks.loading import checks_of
from exercises.checks.results import Outcome, Report, Verdict
from exercises.course.course import Course, Step

TRIES_TIMING, TRIES_BUSY = 3, 2
RUN_WITHOUT_QUICK = ": run exercises check without --quick"
QUICK_BEGIN_SECONDS = 7.0
"""A quick run begins no earlier exercise's check after this, so it ends after about ten seconds, starting included."""
TIMEOUT_FACTOR = 6
"""A check is stopped after so many times its own `seconds`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which checks to run."""

    quick: bool = False
    """Leave out checks that make load, and those of earlier exercises that need more than the running shop."""
    earlier: bool = True
    only: tuple[str, ...] = ()
    """Ids of tasks or checks of the exercise; all when empty."""
    begin_seconds: float = math.inf
    """Seconds after which no further check of an earlier exercise begins."""
    until_failure: bool = False
    """End at the first check that does not pass, and run the cheap checks first."""
    first: str = ""
    """Id of a check that runs before all others. The others then get shops that it has not touched."""
    usual: Mapping[str, float] = field(default_factory=dict)
    """Seconds that checks take with a right answer, by id. A failure that comes sooner is not tried again on a busy
    machine: nothing has been waited for."""


class CheckTimeout(Exception):
    """A check did not end in time."""


def run_checks(
    course: Course,
    step: Step,
    workspace: Path,
    home: Path,
    *,
    choice: Choice | None = None,
    seed: int | None = None,
    show: Callable[[Outcome], None] = lambda _: None,
    starting: Callable[[Step, Check], None] = lambda _step, _check: None,
) -> Report:
    """Run the chosen checks. No process is left afterwards, also after an error."""
    choice = choice or Choice()
    started = time.perf_counter()
    own, earlier, skipped = select(course, step, choice)
    first = [each for each in own if each[1].id == choice.first]
    rest = [each for each in own if each not in first]
    bench = CheckBench(course, workspace, home, seed)
    outcomes = []
    try:
        for group, until in (
            (first, math.inf),
            (rest, math.inf),
            (earlier, started + choice.begin_seconds),
        ):
            if first and group is rest:
                bench.discard_shops()
            if time.perf_counter() < until:
                _prepare(bench, group)
            for owner, check in group:
                if time.perf_counter() > until:
                    skipped.append(
                        (owner, check, f"{choice.begin_seconds:.0f} s had gone{RUN_WITHOUT_QUICK}")
                    )
                    continue
                starting(owner, check)
                outcomes.append(_judge(bench, owner, check, home, choice.usual.get(check.id, 0.0)))
                show(outcomes[-1])
                if choice.until_failure and outcomes[-1].verdict is not Verdict.PASS:
                    rest.clear()
                    earlier.clear()
                    break
    finally:
        bench.close()
    for owner, check, why in skipped:
        outcomes.append(Outcome(owner.id, check, Verdict.SKIPPED, 0.0, 0, None, why))
        show(outcomes[-1])
    return Report(step.id, bench.seed, time.perf_counter() - started, outcomes)


Chosen = list[tuple[Step, Check]]
Skipped = list[tuple[Step, Check, str]]


def select(course: Course, step: Step, choice: Choice) -> tuple[Chosen, Chosen, Skipped]:
    """The exercise's own checks and those of earlier exercises, in order; and those left out, with the reason.

    Of the earlier checks, those that compare with the oracle come first, because the others may change the shop's data.
    Those with `untidy` come last.
    """
    own: Chosen = []
    earlier: Chosen = []
    skipped: Skipped = []
    for check in checks_of(step):
        if choice.only and not {check.id, check.task} & set(choice.only):
            continue
        if check.load and choice.quick:
            skipped.append((step, check, f"makes load{RUN_WITHOUT_QUICK}"))
        else:
            own.append((step, check))
    if choice.until_failure:
        own.sort(key=lambda each: (each[1].load, each[1].seconds))
    if choice.earlier and not choice.only:
        for owner in course.earlier(step):
            for check in checks_of(owner):
                if not still_holds(course, check, step):
                    continue
                if choice.quick and not check.shop:
                    skipped.append((owner, check, f"needs more than your shop as it runs{RUN_WITHOUT_QUICK}"))
                else:
                    earlier.append((owner, check))
    return own, sorted(earlier, key=lambda each: (each[1].untidy, not each[1].oracle)), skipped


def _prepare(bench: CheckBench, group: Chosen) -> None:
    """Start the shops that the group needs. Two shops that are compared must start with the same data."""
    oracle = any(check.oracle for _, check in group)
    if oracle:
        bench.discard_shops()
    bench.prepare(shop=any(check.shop for _, check in group), oracle=oracle)


def still_holds(course: Course, check: Check, step: Step) -> bool:
    """Whether a check of an earlier exercise is run again at this one."""
    order = [each.id for each in course.steps]
    ended = check.until in order and order.index(check.until) <= order.index(step.id)
    return not ended and not check.load


def _judge(bench: CheckBench, step: Step, check: Check, home: Path, usual: float) -> Outcome:
    started = time.perf_counter()
    busy = ""
    for attempt in range(1, TRIES_TIMING + 1):
        bench.begin_check(check.id, attempt)
        try:
            with _time_limit(check.seconds * TIMEOUT_FACTOR):
                check.run(bench)
            return Outcome(
                step.id,
                check,
                Verdict.PASS,
                time.perf_counter() - started,
                attempt,
                None,
                "; ".join(bench.notes),
            )
        except NotYet as error:
            # A check that only read files has nothing to do with what the shop has logged.
            failure, logs = error, bench.log_tail() if bench.last else []
            now = bench.watcher.since(bench.began)
            busy = str(now) if now.is_busy else busy
            soon = not check.timing and time.monotonic() - bench.began <= usual
            if soon or attempt >= _tries(check, busy=bool(busy)):
                break
            bench.discard_shops()
        except Inconclusive as error:
            return Outcome(
                step.id, check, Verdict.INCONCLUSIVE, time.perf_counter() - started, attempt, None, str(error)
            )
        except CheckTimeout:
            now = bench.watcher.since(bench.began)
            verdict = Verdict.INCONCLUSIVE if now.is_busy else Verdict.TOOL_ERROR
            reason = f"it did not end within {check.seconds * TIMEOUT_FACTOR:.0f} s; {now}"
            bench.discard_shops()
            seconds = time.perf_counter() - started
            return Outcome(step.id, check, verdict, seconds, attempt, None, reason, hung=True)
        except Exception as error:  # noqa: BLE001 -- any exception of a check is a result
            return _tool_error(step, check, time.perf_counter() - started, attempt, error, home)
    seconds = time.perf_counter() - started
    if check.timing and busy:
        reason = f"it failed {attempt} times, but the machine was busy: {busy}. The last time: {failure}"
        return Outcome(step.id, check, Verdict.INCONCLUSIVE, seconds, attempt, None, reason)
    shown = [("", list(failure.log))] if failure.log else logs
    return Outcome(step.id, check, Verdict.NOT_YET, seconds, attempt, failure, "", shown)


def _tries(check: Check, *, busy: bool) -> int:
    if check.timing:
        return TRIES_TIMING if busy or not check.load else 1
    return TRIES_BUSY if busy else 1


def _tool_error(
    step: Step, check: Check, seconds: float, attempt: int, error: Exception, home: Path
) -> Outcome:
    home.mkdir(parents=True, exist_ok=True)
    file = home / f"tool-error-{step.id}-{check.id}.txt"
    file.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    last = traceback.extract_tb(error.__traceback__)[-1]
    reason = (
        f"{type(error).__name__}: {error} ({Path(last.filename).name}, line {last.lineno}). "
        f"This is a mistake of the course, not yours; the details are in {file}"
    )
    return Outcome(step.id, check, Verdict.TOOL_ERROR, seconds, attempt, None, reason)


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise CheckTimeout in the block after `seconds`; only in the main thread, because it needs a signal."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise CheckTimeout

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
