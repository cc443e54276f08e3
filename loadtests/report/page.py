"""The report: one HTML file that opens offline, and summary.md. Pure functions of a finished run.

The ledger comes first. Then each experiment has its question, the doubts, the answer, charts, tables and how to repeat
it. The doubts come before the numbers on purpose.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from loadtests.experiments.experiment import Experiment
from loadtests.experiments.metrics import ALL, ALL_IN_WORDS, SHOWN_UNITS, to_shown_unit
from loadtests.report import following, ledger, over_time
from loadtests.report.answers import level_answers, scaling_answers
from loadtests.report.charts import draw
from loadtests.report.doubts import doubts
from loadtests.report.estimates import DASH, Estimate, confident, format_number, label_of, sign
from loadtests.report.ledger import Row

HERE = Path(__file__).parent
TITLE = "One shop, built twice: benefits and costs of the split"
METRIC_COLUMNS = {
    "asked_rps": "asked/s",
    "achieved_rps": "answered/s",
    "errors": "errors",
    "cut": "cut off",
    "not_started": "not started",
    "p50_ms": "p50 ms",
    "p95_ms": "p95 ms",
    "p99_ms": "p99 ms",
    "count": "requests",
}


def html(results: Mapping[str, Any], experiments: Sequence[Experiment], notes: Mapping[str, Any]) -> str:
    """The report as one HTML file. `results` is results.json, `notes` run.json."""
    rows = ledger.ledger(results, experiments)
    texts = {experiment.name: experiment for experiment in experiments}
    return _template().render(
        title=TITLE,
        css=(HERE / "report.css").read_text(encoding="utf-8"),
        about=about(results, notes),
        rows=rows,
        misses=ledger.misses(rows),
        ledger_heads=[(name or "side", "") for name in ledger.COLUMNS],
        sections=[
            _section(measured, texts[measured["name"]], rows, notes) for measured in results["experiments"]
        ],
        trial_heads=[
            (name, "")
            for name in ("order", "system", "phase", "repeat", "route", *METRIC_COLUMNS.values(), "valid")
        ],
        following_heads=following.HEADS,
        machine=_machine(results["machine"], notes),
        notes=notes,
    )


def summary(results: Mapping[str, Any], experiments: Sequence[Experiment], notes: Mapping[str, Any]) -> str:
    """The ledger, the doubts and the answers as Markdown."""
    texts = {experiment.name: experiment for experiment in experiments}
    parts = [f"# {TITLE}\n", about(results, notes) + "\n"]
    parts.append(ledger.markdown(ledger.ledger(results, experiments)))
    for measured in results["experiments"]:
        experiment = texts[measured["name"]]
        parts.append(f"## {experiment.name}: {experiment.question}\n")
        parts += [f"- Doubt: {doubt}" for doubt in doubts(experiment, measured, notes)]
        parts += [f"- {sentence}" for sentence in _sentences(experiment, measured)]
        parts.append("")
    parts.append(f"Repeat with `{notes['command']}`.\n")
    return "\n".join(parts)


def about(results: Mapping[str, Any], notes: Mapping[str, Any]) -> str:
    """When and where the run was made, how CPU was sliced, and the same-work gate, in a few sentences."""
    machine = results["machine"]
    return (
        f"Run {notes['id']} ({notes['form']} form, {notes['started']}) on {machine['cpu_model']}, "
        f"{machine['cores']:g} cores; CPU slices by {machine['slice_backend']}. {_gate(notes['gate'])}"
    )


def _gate(gate: Mapping[str, Any] | None) -> str:
    if not gate:
        return "The same-work gate did not finish, so it is not known whether both shops did the same work."
    equal = f"Before any measurement both shops gave the same answers to {gate['asked']} requests"
    if not gate.get("before"):
        return f"{equal}."
    second = f"{equal}, in the second round, on fresh processes and data."
    return f"{second} In the first round they differed {gate['before']}"


def answer(rows: Iterable[Row]) -> list[str]:
    """The claims of one experiment as sentences."""
    return [
        f"{row.statement} 95 % interval {row.interval}: {row.verdict.value}."
        + (f" Promised beforehand {row.bar}." if row.bar else "")
        + (f" With nothing left out: {row.with_void}." if row.with_void else "")
        for row in rows
    ]


def _sentences(experiment: Experiment, measured: Mapping[str, Any]) -> list[str]:
    return [*scaling_answers(experiment, measured), *level_answers(experiment, measured)]


def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["prose"] = _prose
    return environment.get_template("report.html")


def _prose(sentence: str) -> Markup:
    """The sentence escaped, with `commands` as code elements."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(sentence))))  # noqa: S704 - escaped above


def _section(
    measured: Mapping[str, Any], experiment: Experiment, rows: Sequence[Row], notes: Mapping[str, Any]
) -> dict[str, Any]:
    """The texts of the page's section on one experiment."""
    own = [row for row in rows if row.experiment == experiment.name]
    charts = [(chart.title, draw(chart, experiment, measured["estimates"])) for chart in experiment.charts]
    if timelines := measured.get("timelines"):
        charts.append((over_time.title(timelines), over_time.draw_over_time(timelines, experiment)))
    labels = {system.id: system.label for system in experiment.systems}
    return {
        "experiment": experiment,
        "doubts": doubts(experiment, measured, notes),
        "answers": [*answer(own), *_sentences(experiment, measured)],
        "charts": [(title, svg) for title, svg in charts if svg],
        "behind": _behind(own),
        "following": following.rows(experiment, measured["trials"]),
        "estimates": [_estimate(each, labels) for each in measured["estimates"]],
        "trials": [
            _trial(experiment, trial, route, metric)
            for trial in measured["trials"]
            for route, metric in trial["metrics"].items()
        ],
        "how": _how(experiment),
    }


def _behind(rows: Sequence[Row]) -> list[tuple[str, tuple[str, ...]]]:
    """The claims, and what was behind their verdicts; claims that were measured in the same phases together."""
    claims: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        if row.behind:
            claims.setdefault(row.behind, []).append(row.claim)
    return [("; ".join(names), said) for said, names in claims.items()]


def _how(experiment: Experiment) -> str:
    slices = ", ".join(
        f"{experiment.slice_of(each):g} in {each.name}" for each in experiment.phases if each.record
    )
    return f"Seed {experiment.seed}, {experiment.repeats} repeats; cores for each replica: {slices}."


def _estimate(estimate: Estimate, labels: Mapping[str, str]) -> dict[str, str]:
    unit = estimate["unit"]
    return {
        "name": estimate["name"],
        "system": labels[estimate["id"]],
        "value": sign(estimate["bound"]) + _amount(confident(estimate), unit),
        "interval": f"{_amount(estimate['low'], unit)} {DASH} {_amount(estimate['high'], unit)}",
        "unit": SHOWN_UNITS.get(unit, unit),
    }


def _amount(value: float | None, unit: str) -> str:
    return "?" if value is None else format_number(to_shown_unit(value, unit))


def _trial(
    experiment: Experiment, trial: Mapping[str, Any], route: str, metric: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "order": trial["order"],
        "system": _system(experiment, trial),
        "phase": trial["phase"],
        "repeat": trial["repeat"],
        "route": ALL_IN_WORDS if route == ALL else route,
        "numbers": [_measured(metric, key) for key in METRIC_COLUMNS],
        "valid": "; ".join(["yes" if trial["valid"] else "void", *trial["doubts"], *trial["remarks"]]),
    }


def _system(experiment: Experiment, trial: Mapping[str, Any]) -> str:
    products = f", {trial['products']:,} products" if trial.get("products") else ""
    rate = f", at {trial['rate']:.4g} visits/s" if trial.get("rate") else ""
    return f"{label_of(experiment, trial)}{products}{rate}"


def _measured(metric: Mapping[str, Any], key: str) -> str:
    """A number of a route; a percentile that is a lower bound says so."""
    return (sign("at least") if key in metric["highest"] else "") + f"{metric[key]:.4g}"


def _machine(machine: Mapping[str, Any], notes: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Processor": f"{machine['cpu_model']}, {machine['cores']:g} cores",
        "Memory": f"{machine['memory_bytes'] / 2**30:.1f} GiB",
        "System": machine["os"],
        "Python": machine["python"],
        "Versions": ", ".join(f"{name} {version}" for name, version in machine["versions"].items()),
        "CPU slices": machine["slice_backend"],
        "Trials": f"{notes['planned_trials']} planned; the run took {notes.get('seconds', 0):.0f} s",
    }
