"""How large the deployable units of each shop are, and how long one unit's tests take: facts of the code, not of a run.

A unit is what is deployed on its own: the whole monolith, or one service. The chassis is deployed with every service,
so it counts in each unit. In the total of the shop it counts once.
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
TEST_DEPENDENCY = "hypothesis"
"""A package that `make dev` installs."""


class CodeError(Exception):
    """The code could not be measured; the message says why."""


def facts(asked: Collection[str]) -> dict[str, dict[str, float]]:
    """Shop → metric → value: lines of Python, lines per unit and, only if `asked` names it, seconds of a unit's tests.

    The split's numbers per unit are means over its services. Tests run once, one unit after another, each in its own
    process. Raises CodeError when the tests cannot run or fail.
    """
    services = [ROOT / "microservices" / service.name for service in SPLIT.services]
    chassis = _lines(ROOT / "microservices" / "chassis")
    gateway = _count(ROOT / "microservices" / "launcher" / "gateway.py")
    seeding = _count(ROOT / "microservices" / "seeding.py")
    monolith, own = _lines(ROOT / "monolith"), sum(map(_lines, services))
    found: dict[str, dict[str, float]] = {
        "monolith": {"lines": monolith, "lines_per_unit": monolith},
        "microservices": {
            "lines": own + chassis + gateway + seeding,
            "lines_per_unit": own / len(services) + chassis,
        },
    }
    if "test_seconds_per_unit" in asked:
        if find_spec(TEST_DEPENDENCY) is None:
            raise CodeError("To time the shops' tests, the packages of the tests are needed; run `make dev`.")
        found["monolith"]["test_seconds_per_unit"] = _test_seconds(ROOT / "monolith")
        found["microservices"]["test_seconds_per_unit"] = sum(map(_test_seconds, services)) / len(services)
    return found


def _lines(folder: Path) -> int:
    """Lines of code in a package, without its tests."""
    return sum(_count(file) for file in _files(folder))


def _files(folder: Path) -> Iterable[Path]:
    return (file for file in sorted(folder.rglob("*.py")) if "tests" not in file.relative_to(folder).parts)


def _count(file: Path) -> int:
    """Lines that hold a token of code; comments, docstrings and empty lines do not count."""
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
    """Seconds that the tests of a unit take, with the start of pytest; CodeError when they fail."""
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
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        raise CodeError(f"The tests of {folder.name} fail, so their time means nothing: {last}")
    return time.monotonic() - began
