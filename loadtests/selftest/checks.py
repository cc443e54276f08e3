"""The result of one check, and the table of all of them for the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, JustifyMethod, RenderableType
from rich.text import Text

from loadtests.report.terminal import column_widths, indented, line

HEADS = ("found", "")
ALIGNED: tuple[JustifyMethod, ...] = ("right", "left")


@dataclass(frozen=True)
class Check:
    """One thing that the lab must do: what was found, whether that is enough, and an explanation."""

    name: str
    found: str
    passed: bool
    because: str


def terminal(checks: Sequence[Check]) -> Group:
    """For the terminal: one line for each check, and below it the explanation."""
    answers = ["\N{CHECK MARK} passed" if each.passed else "\N{BALLOT X} failed" for each in checks]
    widths = column_widths(
        [*zip(HEADS, *zip([each.found for each in checks], answers, strict=True), strict=True)]
    )
    heads = [Text("The lab's test of itself", "bold"), *(Text(head, "dim") for head in HEADS)]
    shown: list[RenderableType] = [line(heads, widths, ALIGNED)]
    for check, answer in zip(checks, answers, strict=True):
        style = "green" if check.passed else "bold red"
        shown += [
            line([Text(check.name), check.found, Text(answer, style)], widths, ALIGNED),
            indented(Text(check.because, "dim")),
        ]
    failed = sum(not each.passed for each in checks)
    verdict = f"{failed} of {len(checks)} checks failed." if failed else f"All {len(checks)} checks passed."
    return Group(*shown, "", Text(verdict, "bold red" if failed else "bold"))
