"""Markdown of the exercises as HTML for paper: no links, because paper has none to follow, and diagrams apart."""

from __future__ import annotations

from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

DIAGRAM = "mermaid"
FIRST_OF_AN_ITEM = ["list_item_open", "paragraph_open", "inline"]


def html(markdown: str) -> Markup:
    """The HTML of blocks of Markdown, without their diagrams."""
    reader = _reader()
    tokens = [token for token in reader.parse(markdown) if not _is_diagram(token)]
    return Markup(reader.renderer.render(tokens, reader.options, {}))  # noqa: S704 -- HTML in the text is escaped


def inline(markdown: str) -> Markup:
    """The HTML of one line of Markdown, without a paragraph around it."""
    return Markup(_reader().renderInline(markdown))  # noqa: S704 -- HTML in the text is escaped


def items(markdown: str) -> list[Markup]:
    """The HTML of each item of the lists in the text: its first paragraph."""
    tokens = _reader().parse(markdown)
    threes = zip(tokens, tokens[1:], tokens[2:], strict=False)
    return [inline(three[2].content) for three in threes if [each.type for each in three] == FIRST_OF_AN_ITEM]


def diagrams(markdown: str) -> list[str]:
    """The source of each diagram in the text."""
    return [token.content for token in _reader().parse(markdown) if _is_diagram(token)]


@cache
def _reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    for end in ("link_open", "link_close"):
        reader.add_render_rule(end, lambda *_arguments: "")
    return reader


def _is_diagram(token: Token) -> bool:
    return token.type == "fence" and token.info.strip() == DIAGRAM
