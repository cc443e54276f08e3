"""Markdown as HTML: headings with anchors, code with colours and a button to copy it, diagrams as pictures.

Raw HTML in a text is shown as text, so a text can bring no script into the page.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_by_name, get_lexer_for_filename
from pygments.util import ClassNotFound

from exercises.course.drawing import draw
from exercises.course.sections import without_comments

COPY = Markup('<button type="button" class="copy" data-copy>Copy</button>')
MAX_HIGHLIGHTED = 200_000
"""Characters; a longer text gets no colours."""
_formatter = HtmlFormatter(nowrap=True, classprefix="k-")


def render(markdown: str) -> Markup:
    """The text as HTML."""
    return Markup(_markdown().render(without_comments(markdown)))  # noqa: S704 -- it escapes raw HTML


def coloured(code: str, *, language: str = "", name: str = "") -> Markup:
    """Code as HTML with classes for colours, by the language's name or by the file's."""
    if len(code) > MAX_HIGHLIGHTED:
        return escape(code)
    try:
        lexer = (
            get_lexer_by_name(language, stripnl=False)
            if language
            else get_lexer_for_filename(name, stripnl=False)
        )
    except ClassNotFound:
        lexer = TextLexer(stripnl=False)
    return Markup(highlight(code, lexer, _formatter))  # noqa: S704 -- Pygments escapes


def code_block(code: str, language: str = "") -> Markup:
    """A block of code that can be copied, and scrolled with the keyboard."""
    return Markup('<div class="code">{}<pre tabindex="0"><code>{}</code></pre></div>').format(
        COPY, coloured(code.rstrip("\n"), language=language)
    )


@cache
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "typographer": False}).enable("table")
    for name, rule in (
        ("fence", _fence),
        ("code_block", _fence),
        ("heading_open", _heading),
        ("table_open", _table),
        ("table_close", _table_end),
        ("link_open", _link),
    ):
        markdown.add_render_rule(name, rule)
    return markdown


def _fence(
    _renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    _options: Any,
    _env: MutableMapping[str, Any],
) -> str:
    token = tokens[index]
    language = token.info.split(" ")[0] if token.info else ""
    return str(draw(token.content) if language == "mermaid" else code_block(token.content, language))


def _heading(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    """With an anchor. The page's own heading is the first one, so a text's title is one of the second level."""
    if tokens[index].tag == "h1":
        tokens[index].tag = tokens[index + 2].tag = "h2"
        tokens[index].attrSet("class", "title")
    words = re.findall(r"[a-z0-9]+", tokens[index + 1].content.lower())
    tokens[index].attrSet("id", f"read-{'-'.join(words)}")
    tokens[index].attrSet("tabindex", "-1")
    return renderer.renderToken(tokens, index, options, env)


def _table(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    return f'<div class="table" tabindex="0">{renderer.renderToken(tokens, index, options, env)}'


def _table_end(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    return f"{renderer.renderToken(tokens, index, options, env)}</div>"


def _link(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    """A link to another site opens beside the page. A link to a file of the repository has nothing to open here."""
    token = tokens[index]
    address = str(token.attrGet("href") or "")
    if address.startswith(("http://", "https://")):
        token.attrSet("rel", "noreferrer noopener")
        token.attrSet("target", "_blank")
    elif not address.startswith("#"):
        token.attrs.pop("href")
        token.attrSet("title", address)
    return renderer.renderToken(tokens, index, options, env)
