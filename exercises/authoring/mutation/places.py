"""Where the parts of a piece of Python are in its text, in characters."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from itertools import accumulate

Span = tuple[int, int]
Node = ast.expr | ast.stmt | ast.keyword


class Places:
    """A text and its syntax tree's places in it; ast counts lines, and bytes in a line."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = text.splitlines(keepends=True)
        self._starts = [0, *accumulate(map(len, self._lines))]

    def span(self, node: Node) -> Span:
        """Where the node is."""
        return (
            self._offset(node.lineno, node.col_offset),
            self._offset(node.end_lineno or node.lineno, node.end_col_offset or 0),
        )

    def whole_lines(self, node: Node) -> Span:
        """Where the lines of the node are."""
        return self._starts[node.lineno - 1], self._starts[node.end_lineno or node.lineno]

    def source(self, node: ast.expr) -> str:
        """The text of the node."""
        start, end = self.span(node)
        return self._text[start:end]

    def operator(self, left: ast.expr, right: ast.expr, pattern: str) -> Span:
        """Where the operator between two operands is."""
        start, end = self.span(left)[1], self.span(right)[0]
        found = re.search(pattern, self._text[start:end])
        if found is None:
            raise ValueError(f"no {pattern} in {self._text[start:end]!r}")
        return start + found.start(), start + found.end()

    def without(self, spans: Sequence[Span], index: int) -> Span:
        """What to remove so that one of several parts with commas between them is left out."""
        start, end = spans[index]
        if index + 1 < len(spans):
            return start, spans[index + 1][0]
        if index:
            return spans[index - 1][1], end
        comma = self._comma_after(end)
        return start, end + (comma.end() if comma else 0)

    def comma_follows(self, end: int) -> bool:
        """Whether a comma comes next in the text."""
        return self._comma_after(end) is not None

    def _offset(self, line: int, byte: int) -> int:
        return self._starts[line - 1] + len(self._lines[line - 1].encode()[:byte].decode())

    def _comma_after(self, end: int) -> re.Match[str] | None:
        return re.match(r"\s*,", self._text[end:])
