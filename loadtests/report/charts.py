"""Charts of estimates: bars by phase, or lines over replicas, products or levels. Each is an inline SVG."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.experiments.claims import Chart
from loadtests.experiments.experiment import Experiment
from loadtests.experiments.metrics import SHOWN_UNITS, to_shown_unit
from loadtests.report.estimates import Estimate, confident, format_number, shown_in, sign
from loadtests.report.svg import COLOURS, FAINT, HATCHES, INK, MARKERS, PAPER, STYLE, render

TIMES = "\N{MULTIPLICATION SIGN}"
LONG_UNITS = {**SHOWN_UNITS, "requests/s": "requests per second"}
ARROWS = {"at least": "^", "at most": "v"}
MAX_LABELS_BESIDE = 3
"""So many labels of bars fit beside each other in two phases; more stand upright."""
LINE_STYLES = ("-", "--", "-.")
"""For several configurations of the same shop."""

Series = Mapping[tuple[str, str], Sequence[tuple[float, Estimate]]]
"""(system, label) → points of a line: the place on the x axis, and the estimate there."""


def draw(chart: Chart, experiment: Experiment, estimates: Sequence[Estimate]) -> str:
    """The chart as an <svg> element with a description; "" when nothing in it was measured."""
    shown = shown_in(chart, estimates)
    if not shown:
        return ""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        axes = figure.add_subplot()
        match chart.kind:
            case "scaling":
                _scaling(axes, shown, _labels(experiment))
            case "products":
                _over_products(axes, shown)
            case "levels":
                _over_levels(axes, shown, experiment)
            case "bars":
                _bars(axes, shown, chart.phases, _labels(experiment))
        axes.set_ylim(bottom=0)
        unit = str(shown[0]["unit"])
        axes.set_ylabel(LONG_UNITS.get(unit, unit))
        axes.grid(axis="y", color=FAINT, alpha=0.35, linewidth=0.6)
        axes.set_axisbelow(True)
        return render(figure, _description(chart, experiment, shown))


def _description(chart: Chart, experiment: Experiment, shown: Sequence[Estimate]) -> str:
    """The chart's numbers as one sentence."""
    several = len(experiment.phases) > 1 and len(chart.phases) > 1
    labels = _labels(experiment)
    parts = [
        f"{labels[each['id']]}{', ' + each['phase'] if several else ''}: {_text(each)}" for each in shown
    ]
    unit = shown[0]["unit"]
    return f"{chart.title}, {LONG_UNITS.get(unit, unit)}. {'; '.join(parts)}."


def _labels(experiment: Experiment) -> dict[str, str]:
    return {system.id: system.label for system in experiment.systems}


def _bars(axes: Axes, shown: Sequence[Estimate], phases: Sequence[str], labels: Mapping[str, str]) -> None:
    """One bar per system in each phase, with its value above it."""
    systems = list(dict.fromkeys(each["id"] for each in shown))
    width = 0.8 / len(systems)
    for each in shown:
        offset = (systems.index(each["id"]) - (len(systems) - 1) / 2) * width
        place, value = phases.index(each["phase"]) + offset, _shown_value(each)
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
        _arrows(axes, [(place, each)])
        top = _scaled(each, "high") if each["high"] is not None else value
        text = f"{labels[each['id']]}\n{_text(each)}"
        crowded = len(systems) > MAX_LABELS_BESIDE
        axes.annotate(
            text.replace("\n", ": ") if crowded else text,
            (place, top),
            (0, 4),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=9,
            rotation=90 if crowded else 0,
        )
    axes.set_xticks(range(len(phases)), phases)
    axes.set_xlim(-0.6, len(phases) - 0.4)
    axes.margins(y=0.25 if len(systems) <= MAX_LABELS_BESIDE else 1.0)


def _scaling(axes: Axes, shown: Sequence[Estimate], labels: Mapping[str, str]) -> None:
    """Value over replicas. A dotted line shows N times the value of the smallest number of replicas."""
    names = {"monolith": f"monolith {TIMES} N", "microservices": f"recommendations {TIMES} N"}
    series: dict[tuple[str, str], list[tuple[float, Estimate]]] = {}
    for each in shown:
        name = labels[each["id"]] if each.get("route") else names[each["system"]]
        series.setdefault((each["system"], name), []).append((_replicas(each), each))
    for (system, _), points in series.items():
        if len(points) > 1:
            x, first = min(points, key=_x)
            xs = sorted(count for count, _ in points)
            ys = [_shown_value(first) / x * count for count in xs]
            axes.plot(xs, ys, color=COLOURS[system], linestyle=":", linewidth=1)
    _lines(axes, series)
    axes.set_xticks(sorted({_replicas(each) for each in shown}))
    axes.set_xlabel("replicas (dotted: N times one replica)")
    axes.set_xlim(0.5, max(_replicas(each) for each in shown) * 1.5)


def _over_products(axes: Axes, shown: Sequence[Estimate]) -> None:
    """Value over the size of the catalogue, on a logarithmic axis."""
    sizes = sorted({each["products"] for each in shown})
    series = {
        (system, system): [(each["products"], each) for each in shown if each["system"] == system]
        for system in COLOURS
    }
    axes.set_xscale("log")
    _lines(axes, series)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("products in the catalogue")
    axes.set_xlim(sizes[0] * 0.7, sizes[-1] * 5)


def _over_levels(axes: Axes, shown: Sequence[Estimate], experiment: Experiment) -> None:
    """Value over the level of each phase, on a logarithmic axis; one line per system."""
    level = {phase.name: phase.level for phase in experiment.phases if phase.level}
    labels = _labels(experiment)
    series: dict[tuple[str, str], list[tuple[float, Estimate]]] = {}
    for each in shown:
        series.setdefault((each["system"], labels[each["id"]]), []).append((level[each["phase"]], each))
    axes.set_xscale("log")
    _lines(axes, series)
    levels = sorted({level[each["phase"]] for each in shown})
    axes.set_xticks(levels, [f"{each:g} {TIMES}" for each in levels])
    axes.minorticks_off()
    axes.set_xlim(levels[0] * 0.9, levels[-1] * 3)


def _lines(axes: Axes, series: Series) -> None:
    """A line with error bars per system, labelled at its last point; labels keep the order of the last values."""
    lines = [(system, name, sorted(points, key=_x)) for (system, name), points in series.items() if points]
    lines.sort(key=lambda line: _shown_value(line[2][-1][1]))
    for place, (system, name, points) in enumerate(lines):
        xs, ys = [x for x, _ in points], [_shown_value(each) for _, each in points]
        errors = [_error(each) or ([0.0], [0.0]) for _, each in points]
        same = [other for other, _, _ in lines[:place]].count(system)
        axes.errorbar(
            xs,
            ys,
            yerr=([low[0] for low, _ in errors], [high[0] for _, high in errors]),
            color=COLOURS[system],
            marker=MARKERS[system],
            linestyle=LINE_STYLES[same % len(LINE_STYLES)],
            markersize=7,
            capsize=4,
        )
        _arrows(axes, points)
        # Lines can end close together, so each label is shifted by its place in the order.
        axes.annotate(
            f"{name}: {_text(points[-1][1])}",
            (xs[-1], ys[-1]),
            (8, 12 * (place - (len(lines) - 1) / 2)),
            textcoords="offset points",
            va="center",
        )
    axes.margins(y=0.15)


def _arrows(axes: Axes, points: Sequence[tuple[float, Estimate]]) -> None:
    """A triangle that points up at each lower bound, and down at each upper one: there the true value may lie."""
    for x, each in points:
        if marker := ARROWS.get(each["bound"]):
            axes.plot([x], [_shown_value(each)], color=INK, marker=marker, linestyle="")


def _shown_value(estimate: Estimate) -> float:
    """Where the estimate is drawn: a bound at the end that the data support."""
    known = confident(estimate)
    return to_shown_unit(estimate["value"] if known is None else known, estimate["unit"])


def _text(estimate: Estimate) -> str:
    """The number as a label: `12.3`, or `≥ 12.3` for a bound."""
    return sign(estimate["bound"]) + format_number(_shown_value(estimate))


def _x(point: tuple[float, Estimate]) -> float:
    return point[0]


def _replicas(estimate: Estimate) -> int:
    return max(estimate["replicas"].values(), default=1)


def _scaled(estimate: Estimate, key: str) -> float:
    return to_shown_unit(estimate[key], estimate["unit"])


def _error(estimate: Estimate) -> tuple[list[float], list[float]] | None:
    """Distances from the value to both ends of its interval, as matplotlib wants them; None without an interval."""
    if estimate["low"] is None or estimate["high"] is None:
        return None
    value = _scaled(estimate, "value")
    return [value - _scaled(estimate, "low")], [_scaled(estimate, "high") - value]
