"""The command text: an exercise's README in the terminal, with its diagrams as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from exercises.commands.options import find_workspace, json_option, workspace_option
from exercises.commands.output import Printer
from exercises.course.diagrams import as_text
from exercises.course.sections import without_comments

LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
ITEM = re.compile(r"(\s*(?:[-*]|\d+\.) )(.*)")
CODE_INDENT = 4


@click.command()
@click.argument("exercise", metavar="[N]", required=False)
@workspace_option
@json_option
def text(exercise: str | None, folder: Path | None, as_json: bool) -> None:
    """Show the text of the current exercise, or of exercise N, here in the terminal."""
    printer, workspace = Printer(as_json=as_json), find_workspace(folder)
    if exercise is None:
        workspace.require()
    step = workspace.course.step(exercise) if exercise else workspace.step
    readme = step.file("README.md").read_text(encoding="utf-8")
    show(printer, readme)
    printer.data({"exercise": step.label, "text": readme})


def show(printer: Printer, markdown: str) -> None:
    """Print Markdown as plain text: wrapped, without the marks that only a web page needs."""
    for kind, first, body in _blocks(without_comments(markdown).splitlines()):
        if kind == "heading":
            printer.say(_inline(body), style="bold")
        elif kind == "mermaid":
            for line in as_text(body):
                printer.item("", line, width=CODE_INDENT)
        elif kind == "verbatim":
            printer.lines(body.splitlines(), indent=CODE_INDENT)
        elif body:
            printer.item(first.rstrip(), _inline(body), width=len(first)) if first else printer.say(
                _inline(body)
            )
        else:
            printer.say()


def _blocks(lines: list[str]) -> Iterator[tuple[str, str, str]]:
    """Kind, what stands before the text (the mark of a list's item), and the text of each block."""
    rest = list(lines)
    while rest:
        line = rest.pop(0)
        if line.lstrip().startswith("```"):
            fenced = []
            while rest and not rest[0].lstrip().startswith("```"):
                fenced.append(rest.pop(0))
            del rest[:1]
            kind = "mermaid" if line.strip() == "```mermaid" else "verbatim"
            yield kind, "", "\n".join(fenced)
        elif line.startswith("#"):
            yield "heading", "", line.lstrip("# ")
        elif line.startswith("|"):
            yield "verbatim", "", line
        else:
            found = ITEM.match(line)
            first, body = (found[1], [found[2]]) if found else ("", [line.strip()])
            while body[0] and rest and rest[0].strip() and not _begins_a_block(rest[0]):
                body.append(rest.pop(0).strip())
            yield "paragraph", first, " ".join(body)


def _begins_a_block(line: str) -> bool:
    return line.lstrip().startswith(("```", "#", "|")) or bool(ITEM.match(line))


def _inline(text: str) -> str:
    return LINK.sub(r"\1", text).replace("**", "")
