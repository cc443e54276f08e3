"""How large the deployable units of each shop are, and how long the tests of one take: facts of the code, not of a run.

A unit is what is deployed on its own: the whole monolith, or one service. The chassis that every service carries is
counted once more in each unit, because it is deployed with each; in the sum of the shop it counts once.
"""

import io
import os
import subprocess
import sys
import time
import tokenize
from collections.abc import Collection, Iterable
from importlib.util import find_spec
from pathlib import Path

from loadtests.experiments.metrics import keys_from
from microservices.topology import SPLIT

ROOT = Path(__file__).resolve().parents[2]
METRICS = frozenset(keys_from("code"))
NEW_LINE = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
NOT_CODE = {*NEW_LINE, tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER}
TEST_SECONDS = 600
TESTED_WITH = "hypothesis"
"""A package that is there once `make dev` has run."""


def facts(asked: Collection[str]) -> dict[str, dict[str, float]]:
    """For each shop those of METRICS that are asked for: lines of Python, those of a unit, seconds of a unit's tests.

    Of the split shop's units the numbers are means; tests are run once, one after another, each in its own process.
    """
    services = [ROOT / "microservices" / service.name for service in SPLIT.services]
    chassis, edge = (
        _lines(ROOT / "microservices" / "chassis"),
        _count(ROOT / "microservices" / "launcher" / "gateway.py"),
    )
    monolith, own = _lines(ROOT / "monolith"), sum(map(_lines, services))
    found: dict[str, dict[str, float]] = {
        "monolith": {"lines": monolith, "lines_per_unit": monolith},
        "microservices": {
            "lines": own + chassis + edge,
            "lines_per_unit": own / len(services) + chassis,
        },
    }
    if "test_seconds_per_unit" in asked:
        if find_spec(TESTED_WITH) is None:
            raise CodeError("To time the shops' tests, what they are written with is needed; run `make dev`.")
        found["monolith"]["test_seconds_per_unit"] = _test_seconds(ROOT / "monolith")
        found["microservices"]["test_seconds_per_unit"] = sum(map(_test_seconds, services)) / len(services)
    return found


def _lines(folder: Path) -> int:
    """Lines with code on them in a package, without its tests."""
    return sum(_count(file) for file in _files(folder))


def _files(folder: Path) -> Iterable[Path]:
    return (file for file in sorted(folder.rglob("*.py")) if "tests" not in file.relative_to(folder).parts)


def _count(file: Path) -> int:
    """Lines that hold a token; neither comments nor docstrings nor empty lines."""
    counted: set[int] = set()
    statement = True
    for token in tokenize.generate_tokens(io.StringIO(file.read_text(encoding="utf-8")).readline):
        if token.type in NOT_CODE:
            statement = statement or token.type in NEW_LINE
            continue
        if not (statement and token.type == tokenize.STRING):
            counted.update(range(token.start[0], token.end[0] + 1))
        statement = False
    return len(counted)


def _test_seconds(folder: Path) -> float:
    """How long the tests of a unit take, in seconds, the start of pytest included."""
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603 - our own tests
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=TEST_SECONDS,
    )
    if done.returncode:
        last = (done.stdout.strip().splitlines() or ["they said nothing"])[-1]
        raise CodeError(f"The tests of {folder.name} fail, so their time says nothing: {last}")
    return time.monotonic() - began


class CodeError(Exception):
    """The code could not be measured; the sentence says why."""
