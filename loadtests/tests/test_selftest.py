"""The lab's test of itself passes, and fails when a part of the lab is broken."""

import io
import math
from collections.abc import Iterable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from loadtests import cli
from loadtests.analysis import measure as measuring
from loadtests.analysis import remarks, results, scaling, stats, student, validity, verdicts
from loadtests.analysis.measure import measure
from loadtests.analysis.phase_result import PhaseResult
from loadtests.analysis.raw import RawTrial
from loadtests.analysis.routes import route_numbers
from loadtests.report import charts
from loadtests.report import ledger as report_ledger
from loadtests.running import gate
from loadtests.selftest import refusals as selftest_refusals
from loadtests.selftest import run
from loadtests.selftest import statistics as selftest_statistics
from loadtests.selftest.checks import Check, terminal
from loadtests.selftest.refusals import refusals
from loadtests.selftest.statistics import hit_rates, min_hits

TRIES = 60


def void_by_remarks(raw: RawTrial) -> list[PhaseResult]:
    """The rule of before: what the shop did made its trial void."""
    return [replace(each, doubts=[*each.doubts, *each.remarks]) for each in measure(raw)]


def failed(checks: Iterable[Check]) -> set[str]:
    return {check.name for check in checks if not check.passed}


def test_the_lab_passes_its_own_test() -> None:
    checks = list(run.simulated_checks(tries=TRIES))
    assert failed(checks) == set()
    assert len(checks) == 24
    assert len({check.name for check in checks}) == 24


@pytest.mark.parametrize(
    ("reach", "name"),
    [
        (0.0, "A shop against itself has no winner"),
        (1.0, "A shop 25% slower is found"),
        (99.0, "A shop 25% slower is found"),
    ],
)
def test_wrong_intervals_fail_the_hit_rates(reach: float, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(student, "critical_value", lambda _freedom, _confidence=0.95: reach)
    assert any(each.startswith(name) for each in failed(hit_rates(1, 40, only=name)))


@pytest.mark.parametrize(
    ("where", "limit", "value", "name"),
    [
        (validity, "MAX_LATE_MS", 1e9, "A generator with too little CPU"),
        (validity, "MAX_GENERATOR_CORES", 1.0, "A generator that was the bottleneck"),
        (validity, "SLICE_TOLERANCE", 0.5, "A slice that was exceeded"),
        (remarks, "MIN_ACHIEVED", 0.5, "A shop that did not keep up counts"),
        (remarks, "WARM_FACTOR", 1.9, "A shop that was still warming up counts"),
        (results, "measure", void_by_remarks, "A replica that died counts"),
        (report_ledger, "sign", lambda _bound: "", "A bound is told as a bound"),
        (charts, "sign", lambda _bound: "", "A bound is told as a bound"),
        (
            verdicts,
            "_in_words",
            lambda result, _unit: str(result and result.value),
            "A bound is told as a bound",
        ),
        (selftest_refusals, "quota", lambda _cores: (1000, 20000), "A slice of 0.03 cores is one"),
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


def as_failed(route_numbers: Any) -> Any:
    """The numbers of routes by the rule of before: what was cut off counts as failed."""
    return lambda rows, *others, **more: route_numbers(
        [replace(each, cut=False) for each in rows], *others, **more
    )


def without_visits(rows: Any, *others: Any, **more: Any) -> Any:
    """The numbers of routes when a visit that was not started is only known by its first request."""
    visits = [each for each in rows if each.start is not None or not each.route.startswith("VISIT ")]
    return route_numbers(visits, *others, **more)


@pytest.mark.parametrize(
    ("where", "what", "before", "name"),
    [
        (measuring, "route_numbers", as_failed(route_numbers), "Requests that are cut off"),
        (measuring, "route_numbers", without_visits, "Buyers who never get to the checkout count"),
        (verdicts, "judge_bar", lambda *_: stats.Verdict.SUPPORTED, "A bar that lies on the truth"),
        (stats, "SMALLEST_DIFFERENCE", 1.0, "A shop 4% slower is not called slower"),
        (scaling, "superlinear", lambda _capacities: [], "Replicas that do more than they should"),
        (
            selftest_statistics,
            "ratio_of_numbers",
            lambda pairs: stats.ratio([a.low for a, _ in pairs], [b.low for _, b in pairs]),
            "A ratio of capacities",
        ),
    ],
)
def test_the_rules_of_before_fail_their_checks(
    where: ModuleType, what: str, before: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, what, before)
    if name.startswith("A ratio"):
        monkeypatch.setattr(selftest_statistics, "shifted_start", lambda start, *_: start)
    assert any(each.startswith(name) for each in failed(hit_rates(1, 60, only=name)))


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
