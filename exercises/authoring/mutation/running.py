"""Tries mutants in processes of their own, several at a time if wanted, and stores each result at once."""

from __future__ import annotations

import contextlib
import json
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Self

import psutil

from exercises.authoring.mutation.mutants import Mutant
from exercises.authoring.mutation.results import End, Result, Store
from exercises.authoring.mutation.worker import Job
from exercises.checks.leftovers import sweep
from exercises.course.course import Course, Step
from exercises.errors import ExerciseError, Exit

TIME_FACTOR = 6
MIN_SECONDS = 120.0
"""The least bound for a mutant. Most that hang are noticed before by a check, which then says what it waited for."""
SOLUTION_SECONDS = 600.0
END_SECONDS = 10.0


class SolutionFails(ExerciseError):
    """The solution does not pass its own checks, so they say nothing about mutants."""


class Worker:
    """A process that tries mutants, one at a time; it is started again after one that hangs. Use it in `with`."""

    def __init__(self, course: Course, step: Step) -> None:
        self._arguments = (str(course.folder), step.label)
        self._home = Path(tempfile.mkdtemp(prefix="exercises-mutants-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, job: Job, seconds: float) -> Result:
        """Try one mutant. When it takes longer than `seconds`, it is killed with everything that it has started."""
        started = time.monotonic()
        process = self._started()
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("The worker has no pipes.")
        process.stdin.write(f"{json.dumps(asdict(job))}\n".encode())
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        if not ready:
            self._end()
            return Result(End.HUNG, words=f"it did not end within {seconds:.0f} s", seconds=seconds)
        line = process.stdout.readline()
        if not line:
            said = (self._home / "errors.txt").read_text(encoding="utf-8", errors="replace").strip()
            self._end()
            words = f"the process of the checks ended: {said.splitlines()[-1] if said else 'it said nothing'}"
            return Result(End.BROKE, words=words, seconds=time.monotonic() - started)
        found = json.loads(line)
        return Result(End(found.pop("end")), **found)

    def close(self) -> None:
        """End the process with everything that it has started, and remove its files."""
        self._closed = True
        self._end()
        shutil.rmtree(self._home, ignore_errors=True)

    def _started(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise KeyboardInterrupt
            if self._process is None:
                with (self._home / "errors.txt").open("wb") as errors:
                    self._process = subprocess.Popen(  # noqa: S603 -- our own module
                        [
                            sys.executable,
                            "-m",
                            "exercises.authoring.mutation.worker",
                            *self._arguments,
                            str(self._home),
                        ],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=errors,
                        start_new_session=True,
                    )
            return self._process

    def _end(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            for each in descendants(process.pid):
                with contextlib.suppress(psutil.Error):
                    each.kill()
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        sweep(self._home)


def try_mutants(
    course: Course,
    step: Step,
    mutants: Sequence[Mutant],
    store: Store,
    *,
    jobs: int = 1,
    bound: float | None = None,
    show: Callable[[Mutant, Result], None] = lambda _mutant, _result: None,
    estimate: Callable[[float], None] = lambda _seconds: None,
) -> None:
    """Try the mutants and store their results. First the solution itself, which must pass.

    At the end the solution must pass again in each process, or the results are forgotten.
    For each mutant the check runs first that caught the last one in the same function, or else in the same file.
    `bound` is the longest time for one mutant in seconds, by default six times that of the solution. `estimate` is
    called with the seconds that the solution took. No process is left afterwards, also after an error or Ctrl-C.
    """
    waiting, lock, stopped = iter(mutants), threading.Lock(), threading.Event()
    nearby: dict[str, str] = {}
    workers = [Worker(course, step) for _ in range(jobs)]

    def work(worker: Worker, usual: dict[str, float], seconds: float) -> None:
        tried: list[Mutant] = []
        while True:
            with lock:
                mutant = next(waiting, None)
            if stopped.is_set():
                return
            if mutant is None:
                _require_passing_again(step, worker.ask(Job(usual=usual), SOLUTION_SECONDS), store, tried)
                return
            first = nearby.get(f"{mutant.file} {mutant.within}", nearby.get(mutant.file, ""))
            result = worker.ask(Job(mutant.file, mutant.content, first, usual), seconds)
            with lock:
                if result.end is End.CAUGHT:
                    nearby[mutant.file] = nearby[f"{mutant.file} {mutant.within}"] = result.check
                if not stopped.is_set():
                    tried.append(mutant)
                    store.add(mutant, result)
                    show(mutant, result)

    pool = ThreadPoolExecutor(jobs)
    try:
        solution = _require_passing(step, workers[0].ask(Job(), SOLUTION_SECONDS))
        estimate(solution.seconds)
        seconds = bound or max(MIN_SECONDS, TIME_FACTOR * solution.seconds)
        for done in [pool.submit(work, worker, solution.took, seconds) for worker in workers]:
            done.result()
    finally:
        stopped.set()
        _close_all(workers)
        pool.shutdown()


def _require_passing_again(step: Step, result: Result, store: Store, tried: list[Mutant]) -> None:
    """SolutionFails when the solution does not pass any more after the mutants; then their results are forgotten."""
    if result.end is not End.CAUGHT:
        return
    for mutant in tried:
        store.forget(mutant)
    raise SolutionFails(
        f"After {len(tried)} mutants the solution of {step.label} does not pass its check {result.check} any more "
        f"({result.words}): something is left over from one trial to the next. Their results are forgotten."
    )


def descendants(pid: int) -> list[psutil.Process]:
    """All processes below this one, in whichever session."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return list(psutil.Process(pid).children(recursive=True))
    return []


def _require_passing(step: Step, result: Result) -> Result:
    """The solution's result; SolutionFails when a check does not pass."""
    if result.end is End.SURVIVED:
        return result
    error = SolutionFails(
        f"The solution of {step.label} does not pass its own check {result.check} ({result.end}: {result.words}), "
        f"so nothing can be said about mutants. Repair it first: exercises dev verify {step.number}"
    )
    error.status = Exit.INCONCLUSIVE if result.end is End.UNDECIDED else Exit.TOOL_ERROR
    raise error


def _close_all(workers: Iterable[Worker]) -> None:
    """Close all at the same time: each waits for its shops to end."""
    threads = [threading.Thread(target=worker.close) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
