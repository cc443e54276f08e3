"""Differences between two states of a workspace, as a unified diff."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator

Reader = Callable[[str], bytes | None]
"""Takes a path; returns the file's content, None when there is no such file."""


def changed(relpaths: Iterable[str], old: Reader, new: Reader) -> list[str]:
    """The paths with different contents, sorted."""
    return sorted(relpath for relpath in set(relpaths) if old(relpath) != new(relpath))


def unified(relpaths: Iterable[str], old: Reader, new: Reader) -> Iterator[str]:
    """The lines of the diff of these paths; none for equal files."""
    for relpath in changed(relpaths, old, new):
        before, after = old(relpath), new(relpath)
        a = "/dev/null" if before is None else f"a/{relpath}"
        b = "/dev/null" if after is None else f"b/{relpath}"
        if any(b"\0" in (content or b"") for content in (before, after)):
            yield f"{a} and {b} are binary files and differ"
            continue
        yield from difflib.unified_diff(_lines(before), _lines(after), a, b, lineterm="")


def _lines(content: bytes | None) -> list[str]:
    return (content or b"").decode(errors="replace").splitlines()
