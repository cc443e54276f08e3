"""Pictures of estimates as inline SVG: text stays text, colours come from the page, so dark and print work.

matplotlib draws with placeholder colours that no theme uses; afterwards each becomes a CSS variable. Shops
differ by colour, marker and hatch, and are named beside the data: nobody needs the colours to read them.
"""

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from loadtests.experiments.claims import Chart
from loadtests.experiments.experiment import Experiment
from loadtests.experiments.metrics import SHOWN_UNITS, to_shown_unit
from loadtests.report.estimates import Estimate, number, shown

INK, FAINT, PAPER = "#010203", "#040506", "#070809"
COLOURS = {"monolith": "#0a0b0c", "microservices": "#0d0e0f"}
VARIABLES = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    PAPER: "var(--paper)",
    COLOURS["monolith"]: "var(--monolith)",
    COLOURS["microservices"]: "var(--microservices)",
}
HATCHES = {"monolith": "", "microservices": "///"}
MARKERS = {"monolith": "s", "microservices": "o"}
TIMES = "\N{MULTIPLICATION SIGN}"
LONG_UNITS = {**SHOWN_UNITS, "requests/s": "requests per second"}
LINES = ("-", "--", "-.")
"""Of the several configurations of one shop."""
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "loadtests",
    "font.family": "sans-serif",
    "font.size": 10,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.prop_cycle": cycler(color=[INK]),
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "hatch.color": PAPER,
    "hatch.linewidth": 2,
}


def draw(chart: Chart, experiment: Experiment, estimates: Sequence[Estimate]) -> str:
    """The chart as an <svg> element with a description; "" when nothing of it was measured."""
    found = shown(chart, estimates)
    if not found:
        return ""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        axes = figure.add_subplot()
        match chart.kind:
            case "scaling":
                _scaling(axes, found)
            case "products":
                _over_products(axes, found)
            case "levels":
                _over_levels(axes, found, experiment)
            case "bars":
                _bars(axes, found, chart.phases, _labels(experiment))
        axes.set_ylim(bottom=0)
        unit = str(found[0]["unit"])
        axes.set_ylabel(LONG_UNITS.get(unit, unit))
        axes.grid(axis="y", color=FAINT, alpha=0.35, linewidth=0.6)
        axes.set_axisbelow(True)
        svg = _render(figure)
    return _describe(svg, _words(chart, experiment, found))


def _labels(experiment: Experiment) -> dict[str, str]:
    return {system.id: system.label for system in experiment.systems}


def _bars(axes: Axes, found: Sequence[Estimate], phases: Sequence[str], labels: Mapping[str, str]) -> None:
    """One bar per system in each phase, its value on top."""
    systems = list(dict.fromkeys(each["id"] for each in found))
    width = 0.8 / len(systems)
    for each in found:
        place = phases.index(each["phase"]) + (systems.index(each["id"]) - (len(systems) - 1) / 2) * width
        value = _scaled(each, "value")
        axes.bar(
            place,
            value,
            width * 0.9,
            yerr=_error(each),
            color=COLOURS[each["system"]],
            hatch=HATCHES[each["system"]],
            edgecolor=PAPER,
            linewidth=0,
            ecolor=INK,
            capsize=4,
        )
        top = _scaled(each, "high") if each["high"] is not None else value
        text = f"{labels[each['id']]}\n{number(value)}"
        axes.annotate(
            text, (place, top), (0, 4), textcoords="offset points", ha="center", va="bottom", fontsize=9
        )
    axes.set_xticks(range(len(phases)), phases)
    axes.set_xlim(-0.6, len(phases) - 0.4)
    axes.margins(y=0.25)


def _scaling(axes: Axes, found: Sequence[Estimate]) -> None:
    """Value over replicas, with the line that a perfect doubling would follow."""
    most = max(_count(each) for each in found)
    names = {"monolith": f"monolith {TIMES} N", "microservices": f"recommendations {TIMES} N"}
    series = {
        (system, name): [(_count(each), each) for each in found if each["system"] == system]
        for system, name in names.items()
    }
    for (system, _), points in series.items():
        if points:
            x, first = min(points, key=lambda point: point[0])
            xs = sorted(count for count, _ in points)
            ys = [_scaled(first, "value") / x * count for count in xs]
            axes.plot(xs, ys, color=COLOURS[system], linestyle=":", linewidth=1)
    _lines(axes, series)
    axes.set_xticks(sorted({_count(each) for each in found}))
    axes.set_xlabel("replicas (dotted: N times one replica)")
    axes.set_xlim(0.5, most * 1.5)


def _over_products(axes: Axes, found: Sequence[Estimate]) -> None:
    """Value over the size of the catalogue, on a logarithmic axis."""
    sizes = sorted({each["products"] for each in found})
    series = {
        (system, system): [(each["products"], each) for each in found if each["system"] == system]
        for system in COLOURS
    }
    axes.set_xscale("log")
    _lines(axes, series)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("products in the catalogue")
    axes.set_xlim(sizes[0] * 0.7, sizes[-1] * 5)


def _over_levels(axes: Axes, found: Sequence[Estimate], experiment: Experiment) -> None:
    """Value over the level of each phase, on a logarithmic axis; a line for each system."""
    level = {phase.name: phase.level for phase in experiment.phases if phase.level}
    labels = _labels(experiment)
    series: dict[tuple[str, str], list[tuple[float, Estimate]]] = {}
    for each in found:
        series.setdefault((each["system"], labels[each["id"]]), []).append((level[each["phase"]], each))
    axes.set_xscale("log")
    _lines(axes, series)
    levels = sorted({level[each["phase"]] for each in found})
    axes.set_xticks(levels, [f"{each:g} {TIMES}" for each in levels])
    axes.minorticks_off()
    axes.set_xlim(levels[0] * 0.9, levels[-1] * 3)


def _lines(axes: Axes, series: Mapping[tuple[str, str], Sequence[tuple[float, Estimate]]]) -> None:
    """A line with error bars for each system, named beside its last point, the highest name first."""
    lines = [(system, name, sorted(points, key=_x)) for (system, name), points in series.items() if points]
    lines.sort(key=lambda line: _scaled(line[2][-1][1], "value"))
    for place, (system, name, points) in enumerate(lines):
        xs, ys = [x for x, _ in points], [_scaled(each, "value") for _, each in points]
        errors = [_error(each) or ([0.0], [0.0]) for _, each in points]
        same = [other for other, _, _ in lines[:place]].count(system)
        axes.errorbar(
            xs,
            ys,
            yerr=([low[0] for low, _ in errors], [high[0] for _, high in errors]),
            color=COLOURS[system],
            marker=MARKERS[system],
            linestyle=LINES[same % len(LINES)],
            markersize=7,
            capsize=4,
        )
        # Beside the last point; where several end close together, they are kept apart by their order.
        axes.annotate(
            f"{name}: {number(ys[-1])}",
            (xs[-1], ys[-1]),
            (8, 12 * (place - (len(lines) - 1) / 2)),
            textcoords="offset points",
            va="center",
        )
    axes.margins(y=0.15)


def _x(point: tuple[float, Estimate]) -> float:
    return point[0]


def _count(estimate: Estimate) -> int:
    return max(estimate["replicas"].values(), default=1)


def _scaled(estimate: Estimate, key: str) -> float:
    return to_shown_unit(estimate[key], estimate["unit"])


def _error(estimate: Estimate) -> tuple[list[float], list[float]] | None:
    """Distances from the value to both ends, as errorbar wants them."""
    if estimate["low"] is None or estimate["high"] is None:
        return None
    value = _scaled(estimate, "value")
    return [value - _scaled(estimate, "low")], [_scaled(estimate, "high") - value]


def _render(figure: Figure) -> str:
    buffer = io.StringIO()
    canvas: Any = FigureCanvasSVG(figure)  # its print method is not typed
    canvas.print_svg(buffer, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # Inside a page its style block would hold for the whole page, and its metadata says nothing to a reader.
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = svg.replace("<svg", '<svg style="stroke-linejoin: round; stroke-linecap: butt"', 1)
    for placeholder, variable in VARIABLES.items():
        svg = svg.replace(placeholder, variable)
    return re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)


def _describe(svg: str, words: str) -> str:
    """A picture for those who see it, a sentence with the numbers for those who do not."""
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(words, quote=True)}"', 1)


def _words(chart: Chart, experiment: Experiment, found: Sequence[Estimate]) -> str:
    several = len(experiment.phases) > 1 and len(chart.phases) > 1
    labels = _labels(experiment)
    parts = [
        f"{labels[each['id']]}{', ' + each['phase'] if several else ''}: {number(_scaled(each, 'value'))}"
        for each in found
    ]
    unit = found[0]["unit"]
    return f"{chart.title}, {LONG_UNITS.get(unit, unit)}. {'; '.join(parts)}."
