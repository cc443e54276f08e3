"""Two runs side by side: which claims and measurements changed beyond noise. Pure, from the files of both runs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Group, JustifyMethod, RenderableType
from rich.text import Text

from loadtests.analysis.change import Change, change, significant
from loadtests.analysis.numbers import Number
from loadtests.analysis.phase_result import PhaseResult
from loadtests.analysis.results import SCHEMA, per_repeat
from loadtests.analysis.stats import Interval, interval_of_numbers
from loadtests.experiments.experiment import Experiment
from loadtests.experiments.metrics import SHOWN_UNITS, to_shown_unit
from loadtests.report import ledger
from loadtests.report.estimates import DASH, TIMES, confident, format_number, sign
from loadtests.report.terminal import column_widths, indented, line

HEADS = ("before", "after", "change", "95 % interval", "")
ALIGNED: tuple[JustifyMethod, ...] = ("right", "right", "right", "right", "left")
CHANGED, NOISE, UNKNOWN = "changed", "noise", "unknown"
SIGNS = {CHANGED: "!", NOISE: "=", UNKNOWN: "?"}
STYLES = {CHANGED: "bold yellow", NOISE: "dim", UNKNOWN: "dim"}
MACHINE_FACTS = {
    "cpu_model": "processor",
    "cores": "number of cores",
    "os": "system",
    "python": "version of Python",
    "slice_backend": "way of slicing CPU",
    "versions": "set of library versions",
}


@dataclass(frozen=True)
class Side:
    """One of the two runs: its run.json, experiments and results.json, and one result per trial and phase."""

    notes: Mapping[str, Any]
    experiments: Sequence[Experiment]
    results: Mapping[str, Any]
    measured: Sequence[PhaseResult]


@dataclass(frozen=True)
class Row:
    """One number in both runs: a row of the ledger where `claim` is set, otherwise a measurement with a unit."""

    experiment: str
    what: str
    detail: str
    claim: bool
    before: str
    after: str
    change: Change
    answer: str = UNKNOWN
    """UNKNOWN also where a side is only a bound: how far apart two bounds are says nothing."""

    @property
    def cells(self) -> tuple[str, ...]:
        """The text of the narrow columns, in the order of HEADS."""
        ratio = self.change.ratio
        ends = f"{ratio.low:.2f} {DASH} {ratio.high:.2f}" if ratio.low is not None else "unknown"
        return (
            self.before,
            self.after,
            f"{ratio.value:.2f} {TIMES}",
            ends,
            f"{SIGNS[self.answer]} {self.answer}",
        )


def compare(before: Side, after: Side) -> list[Row]:
    """All numbers that both runs have, claims first within each experiment.

    They are judged together (`significant`); UNKNOWN where a run has too few repeats.
    """
    texts = {each.name: each for each in after.experiments}
    shared = [(each, texts[each.name]) for each in before.experiments if each.name in texts]
    rows = [row for one, other in shared for row in _rows(one, other, before, after)]
    answers = significant([row.change.p_value for row in rows])
    return [
        replace(row, answer=UNKNOWN if row.change.p_value is None else CHANGED if changed else NOISE)
        for row, changed in zip(rows, answers, strict=True)
    ]


def doubts(before: Side, after: Side) -> list[str]:
    """What else differs between the runs than the numbers; shown before any number."""
    machines = before.results["machine"], after.results["machine"]
    found = [
        f"The {name} differs: {_fact(machines[0][key])}, then {_fact(machines[1][key])}."
        for key, name in MACHINE_FACTS.items()
        if machines[0][key] != machines[1][key]
    ]
    for side, place in ((before, "first"), (after, "second")):
        if side.notes.get("schema", 0) < SCHEMA:
            found.append(
                f"The {place} run was made by an older version. Its numbers were computed again from its raw files by "
                "today's rules; it has no rows of whole visits."
            )
    if before.notes["form"] != after.notes["form"]:
        found.append(f"The form differs: {before.notes['form']}, then {after.notes['form']}.")
    texts = {each.name: each for each in after.experiments}
    for each in before.experiments:
        if each.name not in texts:
            found.append(f"{each.name} is only in the first run.")
        elif _rules(each) != _rules(texts[each.name]):
            found.append(f"The text of {each.name} differs: its numbers may mean something else.")
    names = {each.name for each in before.experiments}
    return found + [f"{name} is only in the second run." for name in texts if name not in names]


def terminal(before: Side, after: Side, *, everything: bool = False) -> Group:
    """For the terminal: all claims and the measurements that changed; all measurements with `everything`."""
    rows = compare(before, after)
    shown = [row for row in rows if everything or row.claim or row.answer == CHANGED]
    widths = column_widths([*zip(HEADS, *(row.cells for row in shown), strict=True)])
    parts: list[RenderableType] = [Text(title(before, after), "bold")]
    parts += [Text(f"Doubt: {doubt}", "yellow") for doubt in doubts(before, after)]
    for name in dict.fromkeys(row.experiment for row in shown):
        heads = [Text(name, "bold"), *(Text(head, "dim") for head in HEADS)]
        parts += ["", line(heads, widths, ALIGNED)]
        for row in (row for row in shown if row.experiment == name):
            *cells, answer = row.cells
            parts += [
                line([Text(row.what), *cells, Text(answer, STYLES[row.answer])], widths, ALIGNED),
                indented(Text(row.detail, "dim")),
            ]
    return Group(*parts, "", conclusion(rows, len(rows) - len(shown)))


def markdown(before: Side, after: Side) -> str:
    """The same as Markdown, with all measurements."""
    rows = compare(before, after)
    head = ("experiment", "what", *(each or "answer" for each in HEADS))
    lines = [f"# {title(before, after)}", ""]
    if found := doubts(before, after):
        lines += [*(f"- Doubt: {doubt}" for doubt in found), ""]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        *cells, _ = row.cells
        answer = f"**{row.answer}**" if row.answer == CHANGED else row.answer
        lines.append("| " + " | ".join([row.experiment, f"{row.what} ({row.detail})", *cells, answer]) + " |")
    return "\n".join([*lines, "", conclusion(rows, 0), ""])


def title(before: Side, after: Side) -> str:
    """The names of the two runs."""
    return f"Before: {before.notes['id']}. After: {after.notes['id']}."


def conclusion(rows: Sequence[Row], hidden: int) -> str:
    """How many of the rows changed, and how far that can be trusted. `hidden` rows are not shown."""
    changed = sum(row.answer == CHANGED for row in rows)
    left_out = f" {hidden} other measurements are not shown (--all)." if hidden else ""
    if not changed:
        return f"None of {len(rows)} numbers changed beyond noise.{left_out}"
    return (
        f"{changed} of {len(rows)} numbers changed beyond noise. They were judged together: about one in twenty of "
        "those called changed may still be noise. The cause stays open: conditions differ between runs, and repeats "
        f"within one run cannot show it.{left_out}"
    )


def _rows(one: Experiment, other: Experiment, before: Side, after: Side) -> Iterator[Row]:
    """The rows of one experiment. Claims are matched by name and statement, measurements by metric and system."""
    ratios, numbers = per_repeat(one, before.measured)
    ratios_after, numbers_after = per_repeat(other, after.measured)
    verdicts, verdicts_after = _verdicts(before, one.name), _verdicts(after, one.name)
    place = {(claim.claim, claim.statement): at for at, claim in enumerate(other.claims)}
    for at, claim in enumerate(one.claims):
        to = place.get((claim.claim, claim.statement))
        if to is not None and ratios[at] and ratios_after[to]:
            both = dict.fromkeys([verdicts[at]["verdict"], verdicts_after[to]["verdict"]])
            shown = [ledger.number(each) for each in (verdicts[at], verdicts_after[to])]
            moved = _change(ratios[at], ratios_after[to])
            yield Row(one.name, claim.claim, ", then ".join(both), True, shown[0], shown[1], moved)
    measured, measured_after = _estimates(before, one), _estimates(after, other)
    for key in (key for key in numbers if key in numbers_after):
        metric, system, unit = key
        shown = [_amount(each[key], unit) for each in (measured, measured_after)]
        moved = _change(numbers[key], numbers_after[key])
        yield Row(
            one.name, metric, f"{system}, {SHOWN_UNITS.get(unit, unit)}", False, shown[0], shown[1], moved
        )


def _verdicts(side: Side, name: str) -> Sequence[Mapping[str, Any]]:
    found: Iterable[Any] = (each["verdicts"] for each in side.results["experiments"] if each["name"] == name)
    return list(next(iter(found)))


def _change(before: Sequence[Number], after: Sequence[Number]) -> Change:
    """The change from one side to the other. If a side is a bound, its size and its p-value are not known."""
    found = change([each.value for each in before], [each.value for each in after])
    bounds = [interval_of_numbers(each).bound for each in (before, after)]
    return Change(Interval(found.ratio.value, None, None), None) if any(bounds) else found


def _estimates(side: Side, experiment: Experiment) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    """The estimates of results.json by name, label of the system and unit."""
    labels = {system.id: system.label for system in experiment.systems}
    return {
        (each["name"], labels[each["id"]], each["unit"]): each
        for measured in side.results["experiments"]
        if measured["name"] == experiment.name
        for each in measured["estimates"]
    }


def _amount(estimate: Mapping[str, Any], unit: str) -> str:
    known = confident(estimate)
    return "?" if known is None else sign(estimate["bound"]) + format_number(to_shown_unit(known, unit))


def _rules(experiment: Experiment) -> dict[str, Any]:
    """What must be equal for two runs of an experiment to be comparable: all but its prose and number of repeats."""
    return experiment.model_dump(
        exclude={"repeats", "question", "expect", "because", "doubts", "charts", "demo"}
    )


def _fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return str(value)
