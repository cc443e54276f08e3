"""The chart of latency over time: one row for each system, one trial each. An inline SVG.

Where replicas follow demand, a second row below it shows both, on the same time axis.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from loadtests.experiments.experiment import Experiment
from loadtests.experiments.metrics import ALL, ALL_IN_WORDS
from loadtests.report.svg import COLOURS, FAINT, INK, STYLE, render

ROW_INCHES = 1.4
REPLICAS_INCHES = 0.8


def title(timelines: Sequence[Mapping[str, Any]]) -> str:
    """The caption of the chart."""
    endpoint = timelines[0]["endpoint"]
    what = "Latency, demand and replicas" if "ready" in timelines[0] else "Latency"
    return f"{what} over time, {ALL_IN_WORDS if endpoint == ALL else endpoint}: one trial of each system"


def draw_over_time(timelines: Sequence[Mapping[str, Any]], experiment: Experiment) -> str:
    """The chart as an <svg> element; "" without timelines. The axes have one scale, so that rows can be compared."""
    if not timelines:
        return ""
    systems = {system.id: system for system in experiment.systems}
    with mpl.rc_context(STYLE):
        heights = [
            height
            for each in timelines
            for height in (ROW_INCHES, *([REPLICAS_INCHES] if "ready" in each else []))
        ]
        figure = Figure(figsize=(7.2, 0.6 + sum(heights)), layout="constrained")
        every_row = list(
            figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        )
        rows = [axes for axes, height in zip(every_row, heights, strict=True) if height == ROW_INCHES]
        below = [axes for axes in every_row if axes not in rows]
        _share_heights(rows)
        _share_heights(below)
        last_end = max(phase["end"] for each in timelines for phase in each["phases"])
        for axes, each in zip(below, (each for each in timelines if "ready" in each), strict=True):
            _draw_replicas(axes, each, last_end)
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
        every_row[-1].set_xlabel("seconds, by the intended start")
        return render(figure, _description(timelines, systems))


def _share_heights(rows: Sequence[Axes]) -> None:
    for axes in rows[1:]:
        axes.sharey(rows[0])


def _draw_replicas(axes: Axes, timeline: Mapping[str, Any], end: float) -> None:
    """Demand and ready replicas as steps; what is missing between them is filled."""
    for name, line in (("demand", "--"), ("ready", "-")):
        times, counts = zip(*timeline[name], strict=True)
        ends = ([*times, end], [*counts, counts[-1]])
        axes.step(*ends, where="post", color=INK, linewidth=1.2, linestyle=line, label=name)
    axes.set_ylabel("replicas")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=FAINT, alpha=0.35, linewidth=0.6)
    axes.legend(loc="upper right", fontsize=8, frameon=False)


def _description(timelines: Sequence[Mapping[str, Any]], systems: Mapping[str, Any]) -> str:
    """The highest median of each system, for people who do not see the chart."""
    parts = []
    for each in timelines:
        highest = max(each["p50_ms"])
        at = each["seconds"][each["p50_ms"].index(highest)]
        most = f", up to {max(count for _, count in each['ready'])} replicas" if "ready" in each else ""
        parts.append(f"{systems[each['id']].label}: highest median {highest:.3g} ms, at second {at:g}{most}")
    return f"{title(timelines)}. {'; '.join(parts)}."
