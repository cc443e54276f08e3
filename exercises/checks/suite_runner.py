"""Runs a learner's tests a few times in one process, and writes each test's result as a line of JSON.

`suite` sends this file's text to an interpreter in the workspace, so it imports nothing of the course. One process for
all passes: to start pytest takes longer than the tests.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

HERE = Path.cwd()
OPTIONS = ("tests", "-q", "-vv", "-p", "no:cacheprovider")


class Recorder:
    """A pytest plugin: chooses the order, ends tests that hang, and notes the results."""

    def __init__(self, *, order: str, chosen: list[str] | None, seconds: float) -> None:
        self.passed: list[str] = []
        self.failed: dict[str, str] = {}
        self.broken: list[str] = []
        self._order, self._chosen, self._seconds = order, chosen, seconds

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._chosen is not None:
            items[:] = [item for item in items if item.nodeid in self._chosen]
        if self._order == "reversed":
            items.reverse()
        elif self._order:
            items.sort(key=lambda item: self._order not in item.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken.append(_end_of(str(report.longrepr)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self) -> Iterator[None]:
        with _limit(self._seconds):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Iterator[None]:
        with _limit(self._seconds):
            return (yield)

    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        if call.excinfo is None:
            if call.when == "call":
                self.passed.append(item.nodeid)
        elif not call.excinfo.errisinstance(pytest.skip.Exception):
            self.failed.setdefault(item.nodeid, _where_and_what(call.excinfo))
            if item.nodeid in self.passed:  # its clean-up failed
                self.passed.remove(item.nodeid)


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    def ring(_number: int, _frame: FrameType | None) -> None:
        pytest.fail(f"it had not ended after {seconds:g} s")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _where_and_what(excinfo: pytest.ExceptionInfo[BaseException]) -> str:
    """The last line of the learner's that was running, its text and the error."""
    entries = [entry for entry in excinfo.traceback if HERE in Path(str(entry.path)).parents]
    name, text = excinfo.typename, " ".join(str(excinfo.value).split())
    error = text if name == "AssertionError" and text.startswith("assert") else f"{name}: {text}"
    if name == "Failed":
        error = text
    if not entries:
        return error
    tests = [entry for entry in entries if Path(str(entry.path)).name.startswith("test_")]
    last = (tests or entries)[-1]
    relpath = Path(str(last.path)).relative_to(HERE).as_posix()
    return f"{relpath}, line {last.lineno + 1}: `{' '.join(str(last.statement).split())}`: {error}"


def _end_of(text: str) -> str:
    """Of pytest's report of a file that it cannot read: the learner's last line, and the error."""
    lines = text.replace(f"{HERE}{os.sep}", "").splitlines()
    places = [line.removesuffix(": in <module>") for line in lines if line.startswith("tests")]
    errors = [line[2:].strip() for line in lines if line.startswith("E ")]
    return " ".join([*places[-1:], *errors]) or lines[-1]


def _forget_tests() -> None:
    """The next pass imports the learner's files again, as a new process would."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and HERE in Path(file).parents:
            del sys.modules[name]


def main(told: dict[str, Any]) -> None:
    """Run the passes in the order of `told`."""
    for name in told["hidden"]:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's way to say that it cannot be imported
    with Path(told["results"]).open("a", encoding="utf-8") as results:
        green: list[str] | None = None
        for each in told["passes"]:
            os.environ["SHOP_URL"] = each["url"]
            chosen = green if each["hunts"] else None
            recorder = Recorder(order=each["order"], chosen=chosen, seconds=told["seconds"])
            status = pytest.main([*OPTIONS, *(["-x"] if each["hunts"] else [])], plugins=[recorder])
            green = recorder.passed if green is None else green
            found = {name: getattr(recorder, name) for name in ("passed", "failed", "broken")}
            results.write(json.dumps({"status": int(status), **found}) + "\n")
            results.flush()
            _forget_tests()


if __name__ == "__main__":
    main(json.loads(os.environ.pop("SUITE")))
