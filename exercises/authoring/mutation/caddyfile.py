"""Mutants of a Caddyfile: a directive, a header line or a block left out, an argument left out, a number changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate

from exercises.authoring.mutation.edits import Edit, Kind, is_sentence, other_number

TOKEN = re.compile(r'`[^`]*`|"(?:\\.|[^"\\])*"|\S+')
NUMBER = re.compile(r"(\d+)(ms|s|m|h|%)?")
JSON_VALUE = re.compile(r'"(\w+)": *"([^"]*)"')
SAME_WITHOUT = "{err.status_code}"
"""An argument without which Caddy does the same: in handle_errors, respond takes the error's status by itself."""
FOR_PEOPLE = {"title", "detail"}
"""Fields of a problem document that people read. Programs read its type and its status."""


def edits(text: str, own: set[int]) -> Iterator[Edit]:
    """The mutants of the lines in `own` (from 1), in the order of the file."""
    lines = text.splitlines(keepends=True)
    starts = [0, *accumulate(map(len, lines))]
    around: list[str] = []
    for index, line in enumerate(lines):
        tokens = _tokens(line)
        words = [token.group() for token in tokens]
        if words == ["}"]:
            around.pop()
        if index + 1 in own and words and words[0] not in {"{", "}"}:
            within = " > ".join(around)
            end = _end_of_block(lines, index) if words[-1] == "{" else index + 1
            yield Edit(Kind.DIRECTIVE, starts[index], starts[end], "", within)
            for token in tokens[1:]:
                yield from _of_argument(token, starts[index], within)
        if words and words[-1] == "{":
            around.append(" ".join(words[:-1]) or "options")


def _of_argument(token: re.Match[str], offset: int, within: str) -> Iterator[Edit]:
    word, start, end = token.group(), offset + token.start(), offset + token.end()
    if word in {"{", SAME_WITHOUT}:
        return
    if number := NUMBER.fullmatch(word):
        amount, unit = int(number[1]), number[2] or ""
        changed = 2 * amount if unit and amount else other_number(amount)
        yield Edit(Kind.CONSTANT, start, end, f"{changed}{unit}", within)
    elif word[0] in '`"':
        yield Edit(Kind.CONSTANT, start, end, word[0] * 2, within)
        for value in JSON_VALUE.finditer(word):
            if value[1] not in FOR_PEOPLE and not is_sentence(value[2]):
                yield Edit(Kind.CONSTANT, start + value.end(2), start + value.end(2), "x", within)
    else:
        yield Edit(Kind.ARGUMENT, start - 1, end, "", within)


def _tokens(line: str) -> list[re.Match[str]]:
    """The words of a line, without its comment."""
    found = []
    for token in TOKEN.finditer(line):
        if token.group().startswith("#"):
            break
        found.append(token)
    return found


def _end_of_block(lines: list[str], first: int) -> int:
    """Index of the line after the block that begins in line `first`."""
    depth = 0
    for index in range(first, len(lines)):
        words = [token.group() for token in _tokens(lines[index])]
        depth += (words[-1:] == ["{"]) - (words == ["}"])
        if depth == 0:
            return index + 1
    return len(lines)
