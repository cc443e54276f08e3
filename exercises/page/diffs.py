"""Differences as rows for the page: line numbers of both sides, a sign, the code in colours."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from exercises.page.texts import coloured
from exercises.workspaces.differences import Comparison, is_binary

CONTEXT = 3
MAX_ROWS = 3000
"""Rows that are shown in all; the page says what is left out."""
MAX_BYTES = 400_000
"""A larger file is named and not shown."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line. `sign` is +, - or a space; an empty one begins a place further down."""

    sign: str
    old: int | None
    new: int | None
    code: Markup


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One file that differs."""

    name: str
    what: str
    """new, removed or changed."""
    rows: tuple[Row, ...]
    added: int
    removed: int
    note: str = ""
    """Why no rows are shown."""


def file_diffs(comparison: Comparison) -> Iterator[FileDiff]:
    """Each file that differs. Together they have at most MAX_ROWS rows."""
    room = MAX_ROWS
    for name in comparison.changed():
        old, new = comparison.old(name), comparison.new(name)
        what = "new" if old is None else "removed" if new is None else "changed"
        if is_binary(old) or is_binary(new):
            yield FileDiff(name, what, (), 0, 0, "It is no text.")
            continue
        if max(len(old or b""), len(new or b"")) > MAX_BYTES:
            yield FileDiff(name, what, (), 0, 0, "It is too long to be shown here: exercises diff")
            continue
        rows = tuple(_rows(name, old or b"", new or b""))
        added, removed = (sum(row.sign == sign for row in rows) for sign in "+-")
        if len(rows) > room:
            yield FileDiff(
                name, what, (), added, removed, "There is too much to be shown here: exercises diff"
            )
            continue
        room -= len(rows)
        yield FileDiff(name, what, rows, added, removed)


def _rows(name: str, old: bytes, new: bytes) -> Iterator[Row]:
    before, after = (text.decode(errors="replace") for text in (old, new))
    left, right = before.splitlines(), after.splitlines()
    left_code, right_code = _lines(name, before, len(left)), _lines(name, after, len(right))
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    for place, group in enumerate(matcher.get_grouped_opcodes(CONTEXT)):
        if place:
            yield Row("", None, None, Markup(""))
        for kind, i1, i2, j1, j2 in group:
            if kind == "equal":
                for i, j in zip(range(i1, i2), range(j1, j2), strict=True):
                    yield Row(" ", i + 1, j + 1, right_code[j])
                continue
            for i in range(i1, i2):
                yield Row("-", i + 1, None, left_code[i])
            for j in range(j1, j2):
                yield Row("+", None, j + 1, right_code[j])


def _lines(name: str, text: str, count: int) -> list[Markup]:
    """The coloured lines of a file. Pygments closes its marks at each end of a line."""
    # Only \n ends a line there; other separators would make the two lists differ.
    plain = "\n".join(text.splitlines())
    lines = [Markup(line) for line in str(coloured(plain, name=name)).split("\n")]  # noqa: S704 -- escaped by Pygments
    return [*lines, *([Markup("")] * count)][:count]
