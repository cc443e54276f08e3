"""The pair as one HTML page for a projector; it loads nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from .pairs import CHANGED_LINE, ModulePair, Row

TOKENS = re.compile(r"\w+|\s+|.")
ALIKE = 0.5
"""Changed words are marked in two lines that have at least this share in common."""
WORDS = {"=": "", "|": "changed", "<": "only in the monolith", ">": "only in the split"}


def page(pairs: Sequence[ModulePair]) -> str:
    """An HTML document that shows these modules."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(marked=marked, words=WORDS, definition=CHANGED_LINE)
    return environment.get_template("page.html").render(pairs=pairs)


def marked(row: Row) -> tuple[Markup, Markup]:
    """Both lines of a row, with marks around the words that the other line does not have."""
    ours, theirs = TOKENS.findall(row.left), TOKENS.findall(row.right)
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    if row.sign != "|" or matcher.ratio() < ALIKE:
        return escape(row.left), escape(row.right)
    left = right = Markup("")
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        left += _mark("".join(ours[i1:i2]), tag != "equal")
        right += _mark("".join(theirs[j1:j2]), tag != "equal")
    return left, right


def _mark(text: str, differs: bool) -> Markup:
    return Markup("<mark>{}</mark>").format(text) if text and differs else escape(text)
