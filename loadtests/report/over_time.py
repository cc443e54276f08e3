"""The chart of latency over time: one row for each system, one trial each. An inline SVG."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from loadtests.experiments.experiment import Experiment
from loadtests.experiments.metrics import ALL, ALL_IN_WORDS
from loadtests.report.svg import COLOURS, FAINT, INK, STYLE, render

ROW_INCHES = 1.4


def title(timelines: Sequence[Mapping[str, Any]]) -> str:
    """The caption of the chart."""
    endpoint = timelines[0]["endpoint"]
    return f"Latency over time, {ALL_IN_WORDS if endpoint == ALL else endpoint}: one trial of each system"


def draw_over_time(timelines: Sequence[Mapping[str, Any]], experiment: Experiment) -> str:
    """The chart as an <svg> element; "" without timelines. The axes have one scale, so that rows can be compared."""
    if not timelines:
        return ""
    systems = {system.id: system for system in experiment.systems}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.6 + ROW_INCHES * len(timelines)), layout="constrained")
        rows = figure.subplots(len(timelines), sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, each in zip(rows, timelines, strict=True):
            system = systems[each["id"]]
            colour = COLOURS[system.system]
            axes.plot(each["seconds"], each["p95_ms"], color=colour, linestyle=":", label="95th percentile")
            axes.plot(each["seconds"], each["p50_ms"], color=colour, label="median")
            axes.set_yscale("log")
            axes.set_title(f"{system.label}, repeat {each['repeat']}", loc="left", fontsize=10)
            axes.set_ylabel("ms")
            axes.grid(axis="y", color=FAINT, alpha=0.35, linewidth=0.6)
            for phase in each["phases"]:
                axes.axvline(phase["begin"], color=INK, linewidth=0.6)
                axes.annotate(
                    phase["name"],
                    (phase["begin"], 1),
                    (3, -2),
                    xycoords=("data", "axes fraction"),
                    textcoords="offset points",
                    va="top",
                    fontsize=8,
                )
        rows[0].legend(loc="upper right", fontsize=8, frameon=False)
        rows[-1].set_xlabel("seconds, by the intended start")
        return render(figure, _description(timelines, systems))


def _description(timelines: Sequence[Mapping[str, Any]], systems: Mapping[str, Any]) -> str:
    """The highest median of each system, for people who do not see the chart."""
    parts = []
    for each in timelines:
        highest = max(each["p50_ms"])
        at = each["seconds"][each["p50_ms"].index(highest)]
        parts.append(f"{systems[each['id']].label}: highest median {highest:.3g} ms, at second {at:g}")
    return f"{title(timelines)}. {'; '.join(parts)}."
