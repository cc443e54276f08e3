"""Markdown as the exercises use it: sections by headings, and comments that no reader sees."""

from __future__ import annotations

import re

COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)


def without_comments(text: str) -> str:
    """The text as a reader sees it."""
    return COMMENT.sub("", text)


def sections(text: str, mark: str) -> list[tuple[str, str]]:
    """Heading and body of each section of one level, such as "##"; a heading inside fenced code is text."""
    found: list[tuple[str, list[str]]] = []
    fenced = False
    for line in text.splitlines():
        fenced ^= line.lstrip().startswith("```")
        heading = None if fenced else re.fullmatch(rf"{mark} +(.+?) *", line)
        if heading:
            found.append((heading[1], []))
        elif found:
            found[-1][1].append(line)
    return [(name, "\n".join(body).strip()) for name, body in found]
