"""The report is a pure function of a result: it is compared with golden files that a person has read.

`UPDATE_GOLDEN=1 pytest loadtests/tests/test_report.py` writes them again; read the difference before you commit it.
"""

import io
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from loadtests.analysis.raw import Usage
from loadtests.analysis.records import MACHINE_STOLEN
from loadtests.analysis.results import analyse
from loadtests.experiments.claims import Chart
from loadtests.experiments.experiment import load
from loadtests.experiments.metrics import METRICS
from loadtests.report import ledger
from loadtests.report.charts import draw
from loadtests.report.doubts import doubts
from loadtests.report.estimates import format_number
from loadtests.report.page import html, summary
from loadtests.tests.made_up import MACHINE, NOTES, request, steady, three_repeats, toy, trial

GOLDEN = Path(__file__).with_name("golden")


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return analyse(MACHINE, [toy()], three_repeats())


def same_as_golden(name: str, text: str) -> bool:
    file = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    return text == file.read_text(encoding="utf-8")


def test_the_summary_reads_as_it_was_approved(results: dict[str, Any]) -> None:
    assert same_as_golden("summary.md", summary(results, [toy()], NOTES))


def on_a_terminal(results: dict[str, Any], width: int) -> str:
    """The ledger on a terminal of that width, without colour."""
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(ledger.terminal(ledger.ledger(results, [toy()]), "Claims and prices"))
    shown = console.file
    assert isinstance(shown, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in shown.getvalue().splitlines())


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_ledger_reads_as_it_was_approved(width: int, results: dict[str, Any]) -> None:
    shown = on_a_terminal(results, width)
    assert max(map(len, shown.splitlines())) <= width
    assert same_as_golden(f"ledger-{width}.txt", shown)


def test_the_terminal_ledger_is_complete_without_colour(results: dict[str, Any]) -> None:
    shown = " ".join(on_a_terminal(results, 80).split())
    for row in ledger.ledger(results, [toy()]):
        assert f"{row.title} {row.ratio} {row.interval} {ledger.SIGNS[row.verdict]} {row.verdict}" in shown
        assert f"{row.experiment}: {row.statement} Promised {row.bar}." in shown


def test_a_ledger_without_rows_is_its_title() -> None:
    console = Console(width=80, file=io.StringIO())
    with console.capture() as capture:
        console.print(ledger.terminal([], "Claims and prices"))
    assert capture.get() == "Claims and prices\n"


def test_the_report_reads_as_it_was_approved(results: dict[str, Any]) -> None:
    page = html(results, [toy()], NOTES)
    # Charts come from a library whose output differs a little between versions; they have tests of their own.
    without = re.sub(r"<svg.*?</svg>", "<svg/>", page, flags=re.DOTALL)
    assert same_as_golden("report.html", without[without.index("<body>") :])


def test_the_report_needs_nothing_from_outside(results: dict[str, Any]) -> None:
    page = html(results, [toy()], NOTES)
    links = re.findall(r'(?:src|href)="([^"#][^"]*)"', page)
    assert links == []
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_all_forms_show_the_same_rows(results: dict[str, Any]) -> None:
    rows = ledger.ledger(results, [toy()])
    for text in (summary(results, [toy()], NOTES), html(results, [toy()], NOTES)):
        for row in rows:
            assert row.ratio in text
            assert row.interval in text
            assert row.verdict.value in text


def test_a_missed_bar_reads_missed(results: dict[str, Any]) -> None:
    price = next(row for row in ledger.ledger(results, [toy()]) if row.side == "price")
    assert price.missed
    assert price.bar == "≤ 1.5: missed"


def test_a_bar_of_something_unmeasured_is_not_met() -> None:
    empty = analyse(MACHINE, [toy()], [])
    assert all(row.missed and "not measured" in row.bar for row in ledger.ledger(empty, [toy()]))


def test_doubts_of_the_run_come_before_those_of_the_experiment(results: dict[str, Any]) -> None:
    found = doubts(toy(), results["experiments"][0], {**NOTES, "stopped_early": True})
    assert found[0].startswith("The run was stopped")
    assert found[2] == (
        "microservices by 2: 1 of 4 measurements were void and are left out: the hypervisor took 0.20 cores away."
    )
    assert found[-1] == "All of this is made up."


@pytest.mark.parametrize(("fastest", "doubted"), [(40.0, True), (22.0, False)])
def test_cores_of_different_speed_are_a_doubt(results: dict[str, Any], fastest: float, doubted: bool) -> None:
    measured = results["experiments"][0]
    trials = [{**trial, "core_speed": 20.0} for trial in measured["trials"]]
    trials[0]["core_speed"] = fastest
    found = doubts(toy(), {**measured, "trials": trials}, NOTES)
    assert any(each.startswith("A core was 2.0 times as fast") for each in found) is doubted


@pytest.mark.parametrize("chart", toy().charts, ids=lambda chart: chart.kind)
def test_a_chart_is_accessible_and_takes_its_colours_from_the_page(
    chart: Chart, results: dict[str, Any]
) -> None:
    svg = draw(chart, toy(), results["experiments"][0]["estimates"])
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert chart.title in (root.get("aria-label") or "")
    assert "microservices" in (root.get("aria-label") or "")
    words = " ".join(root.itertext())
    assert "monolith" in words
    colours = set(re.findall(r"#[0-9a-f]{6}\b", svg))
    assert not colours
    assert "var(--microservices)" in svg


def test_a_chart_of_nothing_is_no_chart() -> None:
    assert draw(toy().charts[0], toy(), []) == ""


@pytest.mark.parametrize(("name", "kind"), [("footprint", "products"), ("budget", "levels")])
def test_lines_over_products_and_levels_name_every_system(name: str, kind: str) -> None:
    experiment = load(name)
    chart = next(chart for chart in experiment.charts if chart.kind == kind)
    estimates = [
        {
            "metric": chart.metric,
            "endpoint": chart.endpoint,
            "phase": phase,
            "name": "",
            "id": system.id,
            "system": system.system,
            "replicas": dict(system.replicas),
            "products": system.products,
            **dict.fromkeys(("value", "low", "high"), 10.0 + place),
            "bound": None,
            "unit": METRICS[chart.metric].unit,
        }
        for phase in chart.phases
        for place, system in enumerate(experiment.systems)
    ]
    words = " ".join(ET.fromstring(draw(chart, experiment, estimates)).itertext())
    names = {system.label if kind == "levels" else system.system for system in experiment.systems}
    assert all(name in words for name in names)


def test_a_number_that_is_no_ratio_is_shown_with_its_unit() -> None:
    verdict = {
        "ratio": 0.998,
        "low": 0.99,
        "high": 1.0,
        "bound": None,
        "unit": "share",
        "verdict": "supported",
        "primary": True,
    }
    results = {
        "experiments": [{"name": "fault", "verdicts": [verdict | {"claim": "c", "statement": "s"}] * 6}]
    }
    row = next(row for row in ledger.ledger(results, [load("fault")]) if row.bar)
    assert (row.ratio, row.interval) == ("99.8 %", "99.0 \N{EN DASH} 100.0")
    assert row.bar == "≥ 95 %: met"


def bounded_results() -> dict[str, Any]:
    """The second shop answered nothing in one of its repeats, so its latency is only a lower bound."""
    trials = three_repeats()[:5]
    failed = [request(1.05 + n / 10, 20, ok=False, status=503) for n in range(99)]
    trials.append(trial("microservices", 3, requests=failed))
    return analyse(MACHINE, [toy()], trials)


def test_a_bound_is_a_bound_in_the_ledger_the_sentence_the_table_and_the_chart() -> None:
    results = bounded_results()
    measured = results["experiments"][0]
    estimate = next(each for each in measured["estimates"] if each["id"] == "two" and each["unit"] == "ms")
    assert (estimate["bound"], estimate["high"]) == ("at least", None)
    row = next(each for each in ledger.ledger(results, [toy()]) if each.claim == "Latency")
    assert row.ratio.startswith("≥ ")
    assert row.ratio.removesuffix(" ×") == row.interval  # noqa: RUF001 - as it is shown
    assert f"at least {row.interval.removeprefix('≥ ')} times" in row.statement
    known = f"≥ {format_number(estimate['low'])}"
    page = html(results, [toy()], NOTES)
    assert f'<td class="number">{known}</td>' in page
    assert known in draw(toy().charts[0], toy(), measured["estimates"])
    assert "≥ 1e+04" in page  # the percentile of that trial


def test_primary_rows_are_marked_and_the_expected_misses_are_told(results: dict[str, Any]) -> None:
    rows = ledger.ledger(results, [toy()])
    assert ledger.misses(rows) == ""
    many = rows * 5
    assert ledger.misses(many) == "Of the 10 intervals, about 0.5 miss the true number by chance."
    primary = replace(rows[0], primary=True)
    assert primary.title.endswith(" (primary)")
    assert ledger.misses([primary, *many]) == (
        "The primary rows are corrected for their number in each experiment. Of the 10 other intervals, about 0.5 "
        "miss the true number by chance."
    )


def test_voids_are_counted_by_shop_and_reason_and_verdicts_shown_without_them() -> None:
    stolen = {MACHINE_STOLEN: steady(0.2, 0)}
    slow = [trial("microservices", repeat, latency_ms=400, usage=stolen) for repeat in (1, 2)]
    results = analyse(MACHINE, [toy()], [*slow, *three_repeats()[:6]])
    (doubt,) = [each for each in doubts(toy(), results["experiments"][0], NOTES) if "void" in each]
    assert doubt.startswith("microservices by 2: 2 of 5 measurements were void")
    assert doubt.endswith("the hypervisor took 0.20 cores away (2 times like this).")
    row = next(each for each in ledger.ledger(results, [toy()]) if each.claim == "Latency")
    assert row.with_void
    assert f"With nothing left out: {row.with_void}." in html(results, [toy()], NOTES)


def test_what_a_shop_did_and_what_its_slice_did_are_doubts() -> None:
    counts = {"throttled_seconds": [0.0, 0.1, 1.1]}
    held = {"monolith-1": Usage([0.0, 1.0, 11.0], [0.0, 0.2, 2.2], [1] * 3, counts)}
    trials = [trial("monolith", 1, died=["monolith-1: SIGKILL"], usage=held), trial("microservices", 1)]
    found = doubts(toy(), analyse(MACHINE, [toy()], trials)["experiments"][0], NOTES)
    assert (
        "monolith, quiet: a process ended during the trial: monolith-1: SIGKILL. This counts, because the shop did it."
        in found
    )
    assert any(
        "its slice stopped the most limited replica for 0.10 s in each second" in each for each in found
    )
