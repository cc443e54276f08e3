"""The report is a pure function of a result: it is compared with golden files that a person has read.

`UPDATE_GOLDEN=1 pytest loadtests/tests/test_report.py` writes them again; read the difference before you commit it.
"""

import io
import os
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from loadtests.analysis.results import analyse
from loadtests.experiments.claims import Chart
from loadtests.experiments.experiment import load
from loadtests.experiments.metrics import METRICS
from loadtests.report import ledger
from loadtests.report.charts import draw
from loadtests.report.doubts import doubts
from loadtests.report.page import html, summary
from loadtests.tests.made_up import MACHINE, NOTES, three_repeats, toy

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
        assert f"{row.claim} {row.ratio} {row.interval} {ledger.SIGNS[row.verdict]} {row.verdict}" in shown
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
    assert "1 of 7 measurements were void" in found[2]
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
            "unit": METRICS[chart.metric].unit,
        }
        for phase in chart.phases
        for place, system in enumerate(experiment.systems)
    ]
    words = " ".join(ET.fromstring(draw(chart, experiment, estimates)).itertext())
    names = {system.label if kind == "levels" else system.system for system in experiment.systems}
    assert all(name in words for name in names)


def test_a_number_that_is_no_ratio_is_shown_with_its_unit() -> None:
    verdict = {"ratio": 0.998, "low": 0.99, "high": 1.0, "unit": "share", "verdict": "supported"}
    results = {
        "experiments": [{"name": "fault", "verdicts": [verdict | {"claim": "c", "statement": "s"}] * 6}]
    }
    row = next(row for row in ledger.ledger(results, [load("fault")]) if row.bar)
    assert (row.ratio, row.interval) == ("99.8 %", "99.0 \N{EN DASH} 100.0")
    assert row.bar == "≥ 95 %: met"
