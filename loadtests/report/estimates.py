"""The estimates of results.json as tables and charts need them, and how a number is written."""

from collections.abc import Iterable, Mapping
from typing import Any

from loadtests.experiments.claims import Chart

Estimate = Mapping[str, Any]
"""One entry of `estimates` in results.json."""


def shown(chart: Chart, estimates: Iterable[Estimate]) -> list[Estimate]:
    """Those that the chart shows."""
    return [
        each
        for each in estimates
        if (each["metric"], each["endpoint"]) == (chart.metric, chart.endpoint)
        and each["phase"] in chart.phases
    ]


def number(value: float) -> str:
    """Three digits, or all of them before the point, with thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
