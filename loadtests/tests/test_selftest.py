"""The lab's test of itself passes, and fails when something in the lab is broken."""

import io
import math
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from loadtests import cli
from loadtests.analysis import student, validity
from loadtests.running import gate
from loadtests.selftest import statistics as selftest
from loadtests.selftest.statistics import Check, least_of, terminal

TRIES = 60


def failed(checks: Iterable[Check]) -> set[str]:
    return {check.name for check in checks if not check.passed}


def test_the_lab_passes_its_own_test() -> None:
    checks = list(selftest.selftest(tries=TRIES))
    assert failed(checks) == set()
    assert len(checks) == 16
    assert len({check.name for check in checks}) == 16


@pytest.mark.parametrize(
    ("reach", "name"), [(1.0, "A shop against itself has no winner"), (99.0, "A shop 25% slower is found")]
)
def test_wrong_intervals_fail_the_checks_of_chance(
    reach: float, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(student, "critical_value", lambda _freedom: reach)
    assert any(each.startswith(name) for each in failed(selftest.chances(1, 40)))


@pytest.mark.parametrize(
    ("where", "limit", "value", "name"),
    [
        (validity, "MAX_LATE_MS", 1e9, "A generator starved of CPU"),
        (validity, "MAX_GENERATOR_CORES", 1.0, "A generator that was the slow one"),
        (validity, "SLICE_TOLERANCE", 0.5, "A slice that was exceeded"),
        (validity, "MIN_ACHIEVED", 0.5, "A shop that fell behind"),
        (validity, "WARM_FACTOR", 9.0, "A shop that was still warming up"),
        (validity, "MAX_STOLEN", 0.5, "A machine whose CPU others took"),
        (validity, "MAX_BUSY", 1.5, "A machine that was full"),
        (gate, "refusal", lambda result: None, "Shops that do not answer alike"),
    ],
)
def test_a_limit_that_no_longer_holds_fails_its_check(
    where: ModuleType, limit: str, value: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert failed(selftest.refusals(1)) == set()
    monkeypatch.setattr(where, limit, value)
    assert name in failed(selftest.refusals(1))


def test_nineteen_of_twenty_leaves_room_for_bad_luck_only() -> None:
    assert least_of(20) == 16
    assert least_of(400) == 366
    assert least_of(10_000) == pytest.approx(9_435, abs=1)
    for tries in (40, 200, 1000):
        assert least_of(tries) / tries > 0.95 - 3 * math.sqrt(0.95 * 0.05 / tries) - 1 / tries


@pytest.mark.parametrize("width", [80, 120])
def test_its_table_fits_the_terminal_and_reads_without_colour(width: int) -> None:
    checks = [Check("One thing", "19 of 20", True, "So."), Check("Another", "trusted", False, "Not so.")]
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(terminal(checks))
    lines = [line.rstrip() for line in capture.get().splitlines()]
    assert max(map(len, lines)) <= width
    assert lines[1].startswith("One thing ")
    assert lines[1].endswith("19 of 20  ✓ passed")
    assert lines[3].endswith(" trusted  ✗ failed")
    assert lines[-1] == "1 of 2 checks failed."


@pytest.mark.parametrize(("passed", "status"), [(True, 0), (False, 1)])
def test_its_exit_status_says_whether_it_passed(
    passed: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Check("One thing", "19 of 20", passed, "So.")
    monkeypatch.setattr(selftest, "selftest", lambda seed, tries: [check])
    answer = CliRunner().invoke(cli.cli, ["selftest"])
    assert answer.exit_code == status
    assert "One thing" in answer.output
