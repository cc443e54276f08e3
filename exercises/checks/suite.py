"""Runs the pytest suite of a workspace and returns the result of each test, with its assertion and line."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from exercises.checks.checking import Bench, Ran

RUNNER = Path(__file__).with_name("suite_runner.py")
SETTINGS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
"""To load every installed plugin takes twice as long as the tests, and none of them is needed."""
TEST_SECONDS = 10.0
"""A test that takes longer is failed by name. On an idle machine a test takes a quarter of a second."""
NOT_RUN = 2


@dataclass(frozen=True, slots=True)
class Pass:
    """One run of the suite to make."""

    url: str
    """The shop under test."""
    order: str = ""
    """"reversed", or a part of the name of the tests to run first."""
    hunts: bool = False
    """Run only the tests that were green in the first pass, and stop at the first red one."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of the suite showed. A skipped test is neither passed nor failed."""

    status: int
    """pytest's exit status."""
    passed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """By the test's id: file, line, the line's text, and the error."""
    broken: list[str] = field(default_factory=list)
    """Why a file of the suite could not be read, with its line."""

    def __str__(self) -> str:
        """What is wrong, or how many tests passed."""
        if self.broken:
            return "; ".join(self.broken)
        return "; ".join(list(self.failed.values())[:2]) or f"{len(self.passed)} tests passed"


def run_suite(
    bench: Bench, passes: Sequence[Pass], *, folder: Path | None = None, hidden: Sequence[str] = ()
) -> list[Result]:
    """Run the suite of the workspace (or of `folder`) once for each pass, one after the other.

    hidden: packages that the tests cannot import, in whatever way they try.
    """
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "results"
        told = {
            "passes": [asdict(each) for each in passes],
            "results": str(file),
            "hidden": list(hidden),
            "seconds": TEST_SECONDS,
        }
        ran = bench.python(
            RUNNER.read_text(encoding="utf-8"),
            folder=folder,
            env={**SETTINGS, "SUITE": json.dumps(told)},
            timeout=60.0 + 30.0 * len(passes),
        )
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    results = [Result(**json.loads(line)) for line in lines]
    results = [each if _was_read(each) else Result(each.status, broken=[_error_of(ran)]) for each in results]
    return results + [Result(NOT_RUN, broken=[_error_of(ran)])] * (len(passes) - len(results))


def _was_read(result: Result) -> bool:
    return bool(result.broken or result.passed or result.failed) or result.status in {0, 5}


def _error_of(ran: Ran) -> str:
    """The error that kept pytest from running any test, such as a mistake in conftest.py."""
    lines = [line.strip() for line in f"{ran.out}\n{ran.err}".splitlines() if line.strip()]
    errors = [line.removeprefix("E").strip() for line in lines if line.startswith("E ")]
    places = [line.removesuffix(": in <module>") for line in lines if line.endswith(": in <module>")]
    return " ".join([*places[-1:], *errors]) or (lines[-1] if lines else f"pytest ended with {ran.status}")
