"""The estimates of results.json as tables and charts need them, and how numbers are written."""

from collections.abc import Iterable, Mapping
from typing import Any

from loadtests.experiments.claims import Chart
from loadtests.experiments.experiment import Experiment
from loadtests.planning.plan import system_of

DASH, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"
AT_LEAST, AT_MOST = "\N{GREATER-THAN OR EQUAL TO}", "\N{LESS-THAN OR EQUAL TO}"

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


def label_of(experiment: Experiment, trial: Mapping[str, Any]) -> str:
    """The label of the system that an entry of `trials` is about, or the name of its shop if the file has no label."""
    found = system_of(experiment, trial)
    return found.label if found else str(trial["system"])


def sign(bound: str | None) -> str:
    """What stands before a number that is only a bound: `≥ `, `≤ `, or nothing before an estimate."""
    return {"at least": f"{AT_LEAST} ", "at most": f"{AT_MOST} ", "unknown": "? "}.get(bound or "", "")


def confident(entry: Mapping[str, Any], key: str = "value") -> float | None:
    """The number of an estimate or verdict that may be told: the value, or of a bound the end that is known.

    The value of a bound is made of bounds that differ from repeat to repeat; only the end of the interval is supported
    with 95 % confidence. None where nothing is known. `key` names the value.
    """
    known = entry["high"] if entry["low"] is None else entry["low"]
    found = known if entry["bound"] else entry[key]
    return None if found is None else float(found)


def format_number(value: float) -> str:
    """Three significant digits; from 100 on, whole numbers with a comma between thousands."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
