"""The estimates of results.json as tables and charts need them, and how numbers are written."""

from collections.abc import Iterable, Mapping
from typing import Any

from loadtests.experiments.claims import Chart

DASH, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"

Estimate = Mapping[str, Any]
"""One entry of `estimates` in results.json."""


def shown_in(chart: Chart, estimates: Iterable[Estimate]) -> list[Estimate]:
    """The estimates that the chart shows, in their order."""
    return [
        each
        for each in estimates
        if (each["metric"], each["endpoint"]) == (chart.metric, chart.endpoint)
        and each["phase"] in chart.phases
    ]


def format_number(value: float) -> str:
    """Three significant digits; from 100 on, whole numbers with a comma between thousands."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
