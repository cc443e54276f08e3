"""What is printed. Words carry the meaning, never colour, symbols or boxes alone; the output fits 60 columns."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from exercises.checks.results import Outcome, Report, Verdict
from exercises.course.course import Step
from exercises.course.failures import LABELS, split_request

STYLES = {
    Verdict.PASS: "green",
    Verdict.NOT_YET: "yellow",
    Verdict.INCONCLUSIVE: "cyan",
    Verdict.TOOL_ERROR: "red",
    Verdict.SKIPPED: "dim",
}
NARROWEST, WIDEST = 40, 100
INDENT = 2
BELOW = 4
"""How far the text is moved in when it stands below its label."""
LOG_LINES = 15


class Printer:
    """Prints text for people, or one JSON value at the end for programs."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        # Rich handles NO_COLOR, dumb terminals and pipes. Its highlighting is off: it would colour every number.
        self._console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
        self.width = max(NARROWEST, min(self._console.width, WIDEST))

    def say(self, text: str = "", *, indent: int = 0, style: str = "") -> None:
        """A paragraph, wrapped."""
        if self.as_json:
            return
        if not text:
            self._console.print()
        for line in self._wrap(text, indent):
            self._console.print(Text(line, style=style))

    def note(self, text: str) -> None:
        """A message that is not part of the result; it goes to standard error."""
        echo_error(text)

    def line(self, text: str, *, indent: int = 0) -> None:
        """A line to copy: it is never wrapped."""
        if not self.as_json:
            self._console.print(Text(" " * indent + text))

    def lines(self, lines: Iterable[str], *, indent: int = 0) -> None:
        """Lines that are never wrapped."""
        for line in lines:
            self.line(line, indent=indent)

    def item(self, label: str, text: str, *, width: int = 10, indent: int = 0, style: str = "") -> None:
        """A label, then a text that is wrapped beside it; below it where a word of it does not fit there."""
        if self.as_json:
            return
        longest = max(map(len, text.split()), default=0)
        if label and longest > self.width - indent - width:
            self._console.print(Text(" " * indent).append(label, style=style))
            for line in self._wrap(text, indent + BELOW):
                self._console.print(Text(line))
            return
        room = " " * (indent + width)
        wrapped = self._wrap(text, indent + width) or [room]
        self._console.print(
            Text(" " * indent).append(f"{label:<{width - 1}} ", style=style).append(wrapped[0][len(room) :])
        )
        for line in wrapped[1:]:
            self._console.print(Text(line))

    def data(self, value: Any) -> None:
        """The result as JSON, for programs."""
        if self.as_json:
            click.echo(json.dumps(value, indent=1, default=str))

    def _wrap(self, text: str, indent: int) -> list[str]:
        return _wrapped(text, self.width, " " * indent)


def echo_error(text: str) -> None:
    """Print a sentence to standard error: wrapped on a terminal, one line for programs."""
    if sys.stderr.isatty():
        width = max(NARROWEST, min(shutil.get_terminal_size().columns, WIDEST))
        text = "\n".join(_wrapped(text, width, ""))
    click.echo(text, err=True)


def _wrapped(text: str, width: int, room: str) -> list[str]:
    """The lines of the paragraphs in `text`; a word is never split."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        lines += textwrap.wrap(
            paragraph,
            width,
            initial_indent=room,
            subsequent_indent=room,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return lines


def title(printer: Printer, step: Step) -> None:
    """The exercise's name."""
    printer.say(f"{step.label}: {step.manifest.title}", style="bold")


def outcome_line(printer: Printer, outcome: Outcome) -> None:
    """The line of one check, printed when it is done."""
    text = f"{outcome.check.says} ({outcome.check.id}, {outcome.seconds:.1f} s)"
    if outcome.verdict is Verdict.SKIPPED:
        text = f"{outcome.check.says} ({outcome.check.id})"
    if outcome.reason and outcome.verdict is not Verdict.SKIPPED:
        text += f" {outcome.reason}" if outcome.reason.endswith(".") else f" {outcome.reason}."
    if outcome.verdict is Verdict.PASS and outcome.tries > 1:
        text += f" Passed at try {outcome.tries}."
    label = outcome.verdict.value
    printer.item(
        label, text, width=max(len(verdict.value) for verdict in Verdict) + 2, style=STYLES[outcome.verdict]
    )


def failure(printer: Printer, outcome: Outcome) -> None:
    """A "not yet" in five parts, then the end of the learner's own logs."""
    failed = outcome.failure
    if failed is None:
        return
    printer.say()
    printer.say(f"Not yet: {outcome.check.says}", style="bold")
    for name, label in LABELS:
        text = " ".join(str(getattr(failed, name)).split())
        text, request = split_request(text) if name == "did" else (text, [])
        printer.item(f"{label}:", text, indent=INDENT, width=11)
        printer.lines(request, indent=2 * INDENT)
    for name, lines in outcome.logs:
        printer.line(f"The last lines of {f'the log of {name}' if name else 'the log'}:", indent=INDENT)
        printer.lines(_shortened(lines, printer.width - 2 * INDENT), indent=2 * INDENT)


def summary(printer: Printer, report: Report, own: str, *, everything: bool) -> None:
    """The end of a run: details of the first failure (or of all), counts, and how to repeat the run."""
    failed = [outcome for outcome in report.outcomes if outcome.verdict is Verdict.NOT_YET]
    for outcome in failed if everything else failed[:1]:
        failure(printer, outcome)
    if failed:
        printer.say()
        printer.say(
            f"The same data again: exercises serve --seed {report.seed} (then the curl lines work on port 8000),"
        )
        printer.say(f"or exercises check --seed {report.seed}. A hint: exercises hint {failed[0].check.task}")
        if len(failed) > 1 and not everything:
            printer.say(f"{len(failed) - 1} more not yet; exercises check --all shows them all.")
    others = [outcome for outcome in report.outcomes if outcome.exercise != own]
    earlier = [outcome for outcome in others if outcome.verdict is not Verdict.SKIPPED]
    broken = [outcome for outcome in earlier if outcome.verdict is Verdict.NOT_YET]
    printer.say()
    if earlier:
        printer.say(
            f"Earlier exercises: {len(earlier) - len(broken)} of {len(earlier)} checks hold."
            if broken
            else f"Earlier exercises: all {len(earlier)} checks hold."
        )
    if left_out := sum(outcome.verdict is Verdict.SKIPPED for outcome in report.outcomes):
        printer.say(f"{left_out} checks were left out. Only a run of all checks counts: exercises check")
    printer.say(f"Result: {_result(report)} after {report.seconds:.1f} s.", style="bold")


def _result(report: Report) -> str:
    counts = dict.fromkeys(Verdict, 0)
    for outcome in report.outcomes:
        counts[outcome.verdict] += 1
    parts = [f"{count} {verdict.value}" for verdict, count in counts.items() if count]
    return f"{report.json()['result']} ({', '.join(parts)})"


def _shortened(lines: Sequence[str], width: int) -> list[str]:
    """The last lines; a long one without its middle: its end may be the last line of a traceback."""
    half = max(width * 3, 200) // 2
    return [
        line if len(line) <= 2 * half else f"{line[:half]} … {line[-half:]}" for line in lines[-LOG_LINES:]
    ]
