"""The lab's test of itself passes, and fails when a part of the lab is broken."""

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
from loadtests.selftest import run
from loadtests.selftest.checks import Check, terminal
from loadtests.selftest.refusals import refusals
from loadtests.selftest.statistics import hit_rates, min_hits

TRIES = 60


def failed(checks: Iterable[Check]) -> set[str]:
    return {check.name for check in checks if not check.passed}


def test_the_lab_passes_its_own_test() -> None:
    checks = list(run.simulated_checks(tries=TRIES))
    assert failed(checks) == set()
    assert len(checks) == 16
    assert len({check.name for check in checks}) == 16


@pytest.mark.parametrize(
    ("reach", "name"), [(1.0, "A shop against itself has no winner"), (99.0, "A shop 25% slower is found")]
)
def test_wrong_intervals_fail_the_hit_rates(reach: float, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(student, "critical_value", lambda _freedom: reach)
    assert any(each.startswith(name) for each in failed(hit_rates(1, 40)))


@pytest.mark.parametrize(
    ("where", "limit", "value", "name"),
    [
        (validity, "MAX_LATE_MS", 1e9, "A generator with too little CPU"),
        (validity, "MAX_GENERATOR_CORES", 1.0, "A generator that was the bottleneck"),
        (validity, "SLICE_TOLERANCE", 0.5, "A slice that was exceeded"),
        (validity, "MIN_ACHIEVED", 0.5, "A shop that did not keep up"),
        (validity, "WARM_FACTOR", 9.0, "A shop that was still warming up"),
        (validity, "MAX_STOLEN", 0.5, "A machine whose CPU a hypervisor took"),
        (validity, "MAX_BUSY", 1.5, "A machine that was fully busy"),
        (gate, "refusal", lambda result: None, "Shops with different answers"),
    ],
)
def test_a_limit_that_is_changed_fails_its_check(
    where: ModuleType, limit: str, value: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert failed(refusals(1)) == set()
    monkeypatch.setattr(where, limit, value)
    assert name in failed(refusals(1))


def test_nineteen_of_twenty_is_required_less_three_standard_errors() -> None:
    assert min_hits(20) == 16
    assert min_hits(400) == 366
    assert min_hits(10_000) == pytest.approx(9_435, abs=1)
    for tries in (40, 200, 1000):
        assert min_hits(tries) / tries > 0.95 - 3 * math.sqrt(0.95 * 0.05 / tries) - 1 / tries


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_the_terminal_and_is_complete_without_colour(width: int) -> None:
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
def test_the_exit_status_is_1_when_a_check_fails(
    passed: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Check("One thing", "19 of 20", passed, "So.")
    monkeypatch.setattr(run, "simulated_checks", lambda seed, tries: [check])
    answer = CliRunner().invoke(cli.cli, ["selftest"])
    assert answer.exit_code == status
    assert "One thing" in answer.output
