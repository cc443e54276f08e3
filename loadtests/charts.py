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

from loadtests.analysis import metric_name
from loadtests.experiment import Chart, Experiment
from loadtests.plan import more_than_one

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
SHORT_UNITS = {"requests/s": "requests per second", "bytes": "MB"}
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

Estimate = Mapping[str, Any]


def draw(chart: Chart, experiment: Experiment, estimates: Sequence[Estimate]) -> str:
    """The chart as an <svg> element with a description; "" when nothing of it was measured."""
    wanted = [metric_name(chart.metric, chart.endpoint, phase) for phase in chart.phases]
    found = [estimate for estimate in estimates if estimate["metric"] in wanted]
    if not found:
        return ""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        axes = figure.add_subplot()
        if chart.kind == "scaling":
            _scaling(axes, found)
        else:
            _bars(axes, found, wanted, chart)
        axes.set_ylim(bottom=0)
        unit = str(found[0]["unit"])
        axes.set_ylabel(SHORT_UNITS.get(unit, unit))
        axes.grid(axis="y", color=FAINT, alpha=0.35, linewidth=0.6)
        axes.set_axisbelow(True)
        svg = _render(figure)
    return _describe(svg, _words(chart, experiment, found))


def number(value: float) -> str:
    """Three digits, or all of them before the point, with thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _bars(axes: Axes, found: Sequence[Estimate], wanted: Sequence[str], chart: Chart) -> None:
    """One bar per system in each phase, its value on top."""
    systems = list(dict.fromkeys(_label(each) for each in found))
    width = 0.8 / len(systems)
    for each in found:
        place = wanted.index(each["metric"]) + (systems.index(_label(each)) - (len(systems) - 1) / 2) * width
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
        text = f"{_label(each)}\n{number(value)}"
        axes.annotate(
            text, (place, top), (0, 4), textcoords="offset points", ha="center", va="bottom", fontsize=9
        )
    axes.set_xticks(range(len(wanted)), chart.phases)
    axes.set_xlim(-0.6, len(wanted) - 0.4)
    axes.margins(y=0.25)


def _scaling(axes: Axes, found: Sequence[Estimate]) -> None:
    """Value over replicas, with the line that a perfect doubling would follow."""
    most = max(_count(each) for each in found)
    highest = max(found, key=lambda each: (_count(each) == most, each["value"]))["system"]
    for system in dict.fromkeys(each["system"] for each in found):
        points = sorted((_count(each), each) for each in found if each["system"] == system)
        xs, ys = [count for count, _ in points], [_scaled(each, "value") for _, each in points]
        errors = [_error(each) or ([0.0], [0.0]) for _, each in points]
        axes.errorbar(
            xs,
            ys,
            yerr=([low[0] for low, _ in errors], [high[0] for _, high in errors]),
            color=COLOURS[system],
            marker=MARKERS[system],
            markersize=7,
            capsize=4,
        )
        axes.plot(xs, [ys[0] / xs[0] * x for x in xs], color=COLOURS[system], linestyle=":", linewidth=1)
        name = f"recommendations {TIMES} N" if system == "microservices" else f"monolith {TIMES} N"
        # Beside the last point; where both end close together, one label goes up and the other down.
        axes.annotate(
            f"{name}: {number(ys[-1])}",
            (xs[-1], ys[-1]),
            (8, 4 if system == highest else -4),
            textcoords="offset points",
            va="bottom" if system == highest else "top",
        )
    axes.set_xticks(sorted({_count(each) for each in found}))
    axes.set_xlabel("replicas (dotted: N times one replica)")
    axes.set_xlim(0.5, most * 1.5)
    axes.margins(y=0.15)


def _count(estimate: Estimate) -> int:
    return max(estimate["replicas"].values(), default=1)


def _label(estimate: Estimate) -> str:
    replicas = more_than_one(estimate["replicas"])
    return str(estimate["system"]) + "".join(f" ({name} {TIMES} {count})" for name, count in replicas.items())


def _scaled(estimate: Estimate, key: str) -> float:
    return float(estimate[key]) / (1e6 if estimate["unit"] == "bytes" else 1)


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
    phase = {metric_name(chart.metric, chart.endpoint, phase): phase for phase in chart.phases}
    several = len(experiment.phases) > 1 and len(chart.phases) > 1
    parts = [
        f"{_label(each)}{', ' + phase[each['metric']] if several else ''}: {number(_scaled(each, 'value'))}"
        for each in found
    ]
    unit = found[0]["unit"]
    return f"{chart.title}, {SHORT_UNITS.get(unit, unit)}. {'; '.join(parts)}."
