"""The report: one HTML file that opens offline, and summary.md. Pure functions of a finished run.

The ledger comes first; then, for each experiment, the question, the doubts, the answer, pictures, the table
and how to repeat it. Doubts stand before numbers on purpose.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from loadtests.experiments.experiment import Experiment
from loadtests.experiments.metrics import PLAIN, plain
from loadtests.report import ledger
from loadtests.report.answers import level_answers, scaling_answers
from loadtests.report.charts import draw
from loadtests.report.doubts import doubts
from loadtests.report.estimates import number
from loadtests.report.ledger import Row

HERE = Path(__file__).parent
TITLE = "One shop, built twice: what the split buys and what it costs"
METRIC_COLUMNS = {
    "asked_rps": "asked/s",
    "achieved_rps": "answered/s",
    "errors": "errors",
    "not_started": "not started",
    "p50_ms": "p50 ms",
    "p95_ms": "p95 ms",
    "p99_ms": "p99 ms",
    "count": "requests",
}


def html(results: Mapping[str, Any], experiments: Sequence[Experiment], notes: Mapping[str, Any]) -> str:
    """The whole report as one file."""
    rows = ledger.ledger(results, experiments)
    texts = {experiment.name: experiment for experiment in experiments}
    template = Template((HERE / "report.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(TITLE),
        css=(HERE / "report.css").read_text(encoding="utf-8"),
        about=escape(about(results, notes)),
        ledger=_ledger(rows, "Claims and prices, all experiments"),
        experiments="\n".join(
            _section(measured, texts[measured["name"]], rows, notes) for measured in results["experiments"]
        ),
        machine=_machine(results["machine"], notes),
    )


def summary(results: Mapping[str, Any], experiments: Sequence[Experiment], notes: Mapping[str, Any]) -> str:
    """The same ledger and doubts as Markdown."""
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
    """When, where and under which rules, in two sentences."""
    machine = results["machine"]
    return (
        f"Run {notes['id']} ({notes['form']} form, {notes['started']}) on {machine['cpu_model']}, "
        f"{machine['cores']} cores; CPU slices by {machine['slice_backend']}. {_gated(notes['gate'])}"
    )


def _gated(gate: Mapping[str, Any] | None) -> str:
    if not gate:
        return "The same-work gate did not finish, so nothing here compares equal work."
    alike = f"Before any number both shops answered the same {gate['asked']} requests alike"
    if not gate.get("before"):
        return f"{alike}."
    return f"{alike}, at the second asking on fresh processes and data. At the first they differed {gate['before']}"


def answer(rows: Iterable[Row]) -> list[str]:
    """The claims of one experiment as sentences with their numbers."""
    return [
        f"{row.statement} 95 % interval {row.interval}: {row.verdict.value}."
        + (f" Promised beforehand {row.bar}." if row.bar else "")
        for row in rows
    ]


def _sentences(experiment: Experiment, measured: Mapping[str, Any]) -> list[str]:
    return [*scaling_answers(experiment, measured), *level_answers(experiment, measured)]


def _section(
    measured: Mapping[str, Any], experiment: Experiment, rows: Sequence[Row], notes: Mapping[str, Any]
) -> str:
    own = [row for row in rows if row.experiment == experiment.name]
    pictures = [(chart.title, draw(chart, experiment, measured["estimates"])) for chart in experiment.charts]
    return "\n".join(
        [
            f'<section aria-labelledby="{experiment.name}">',
            f'<h2 id="{experiment.name}">{escape(experiment.name)}</h2>',
            f'<p class="question"><strong>{escape(experiment.question)}</strong></p>',
            f"<p>Expected: {escape(experiment.expect)} {escape(experiment.because)}</p>",
            '<div class="doubts"><strong>Doubts</strong>',
            _list(doubts(experiment, measured, notes)),
            "</div>",
            "<h3>Answer</h3>",
            _list([*answer(own), *_sentences(experiment, measured)]),
            *(
                f"<figure><figcaption>{escape(title)}</figcaption>\n{svg}</figure>"
                for title, svg in pictures
                if svg
            ),
            _estimates(measured["estimates"], experiment),
            "<details><summary>Every measurement</summary>",
            _trials(measured["trials"]),
            "</details>",
            "<h3>How to repeat it</h3>",
            f"<pre>{escape(notes['command'])}\nloadtests report runs/{escape(notes['id'])}</pre>",
            f'<p class="faint">{escape(_how(experiment))}</p>',
            "</section>",
        ]
    )


def _how(experiment: Experiment) -> str:
    slices = ", ".join(
        f"{experiment.slice_of(each):g} in {each.name}" for each in experiment.phases if each.record
    )
    return f"Seed {experiment.seed}, {experiment.repeats} repeats; cores for each replica: {slices}."


def _list(sentences: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{_prose(sentence)}</li>" for sentence in sentences) + "</ul>"


def _prose(sentence: str) -> str:
    """Escaped, with `commands` set as such."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(sentence))


def _ledger(rows: Sequence[Row], caption: str) -> str:
    head = "".join(f'<th scope="col">{escape(name) or "side"}</th>' for name in ledger.COLUMNS)
    body = "\n".join(_ledger_row(row) for row in rows)
    return _table(caption, head, body)


def _ledger_row(row: Row) -> str:
    kind = row.verdict.value.replace(" ", "-")
    bar = ' class="missed"' if row.missed else ""
    return (
        f"<tr><td>{escape(row.side)}</td>"
        f'<td><a href="#{row.experiment}">{escape(row.experiment)}</a></td>'
        f"<td><strong>{escape(row.claim)}.</strong> {escape(row.statement)}</td>"
        f'<td class="number big">{escape(row.ratio)}</td>'
        f'<td class="number">{escape(row.interval)}</td>'
        f"<td{bar}>{escape(row.bar)}</td>"
        f'<td><span class="verdict {kind}">{row.verdict.value}</span></td></tr>'
    )


def _estimates(estimates: Sequence[Mapping[str, Any]], experiment: Experiment) -> str:
    numeric = ' class="number"'
    columns = {"what": "", "system": "", "value": numeric, "95 % interval": numeric, "unit": ""}
    labels = {system.id: system.label for system in experiment.systems}
    head = "".join(f'<th scope="col"{kind}>{name}</th>' for name, kind in columns.items())
    body = "\n".join(
        f"<tr><td>{escape(each['name'])}</td><td>{escape(labels[each['id']])}</td>"
        f'<td class="number">{_amount(each, "value")}</td>'
        f'<td class="number">{_amount(each, "low")} {ledger.DASH} {_amount(each, "high")}</td>'
        f"<td>{escape(PLAIN.get(each['unit'], each['unit']))}</td></tr>"
        for each in estimates
    )
    return _table("Measured: the geometric mean over repeats", head, body)


def _amount(estimate: Mapping[str, Any], key: str) -> str:
    value = estimate[key]
    return "?" if value is None else number(plain(value, estimate["unit"]))


def _trials(trials: Sequence[Mapping[str, Any]]) -> str:
    head = "".join(
        f'<th scope="col">{escape(name)}</th>'
        for name in ("order", "system", "phase", "repeat", "route", *METRIC_COLUMNS.values(), "valid")
    )
    body = "\n".join(
        f"<tr><td>{trial['order']}</td><td>{escape(_system(trial))}</td><td>{escape(trial['phase'])}</td>"
        f"<td>{trial['repeat']}</td><td><code>{escape(route)}</code></td>"
        + "".join(f'<td class="number">{_number(metric[key])}</td>' for key in METRIC_COLUMNS)
        + f"<td>{'yes' if trial['valid'] else 'void: ' + escape('; '.join(trial['doubts']))}</td></tr>"
        for trial in trials
        for route, metric in trial["metrics"].items()
    )
    return _table("One row per trial, phase and route", head, body)


def _table(caption: str, head: str, body: str) -> str:
    return (
        f'<div class="scroll" role="region" aria-label="{escape(caption, quote=True)}" tabindex="0">'
        f"<table><caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _system(trial: Mapping[str, Any]) -> str:
    replicas = "".join(f", {name} {ledger.TIMES} {count}" for name, count in trial["replicas"].items())
    products = f", {trial['products']:,} products" if trial.get("products") else ""
    rate = f", at {trial['rate']:.4g} visits/s" if trial.get("rate") else ""
    return f"{trial['system']}{replicas}{products}{rate}"


def _number(value: float | None) -> str:
    return ledger.DASH if value is None else f"{value:.4g}"


def _machine(machine: Mapping[str, Any], notes: Mapping[str, Any]) -> str:
    facts = {
        "Processor": f"{machine['cpu_model']}, {machine['cores']} cores",
        "Memory": f"{machine['memory_bytes'] / 2**30:.1f} GiB",
        "System": machine["os"],
        "Python": machine["python"],
        "Versions": ", ".join(f"{name} {version}" for name, version in machine["versions"].items()),
        "CPU slices": machine["slice_backend"],
        "Trials": f"{notes['planned_trials']} planned, {notes.get('seconds', 0):.0f} s in all",
    }
    rows = "\n".join(
        f'<tr><th scope="row">{escape(key)}</th><td>{escape(value)}</td></tr>' for key, value in facts.items()
    )
    return (
        "<p>Arrivals are open (on a schedule, whatever the shop does) and latency counts from the intended start. "
        "Each trial has fresh processes and fresh data; systems alternate in an order drawn from the seed, or are up "
        "together and take turns under load where the experiment says so. "
        "Intervals are taken over repeats, with Student's t on logarithms. "
        "A measurement with a reason to doubt it is repeated, at most twice, and then left out.</p>"
        f"<table><tbody>\n{rows}\n</tbody></table>"
    )
