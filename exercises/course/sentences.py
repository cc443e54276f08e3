"""The sentences of an exercise's checks, read from check.py without running it."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path


def sentences(file: Path) -> dict[str, str]:
    """Check id to its sentence, in the order of the file; empty when the file cannot be read."""
    try:
        return dict(_read(file, file.stat().st_mtime_ns))
    except (OSError, SyntaxError):
        return {}


@lru_cache(maxsize=32)
def _read(file: Path, _changed: int) -> tuple[tuple[str, str], ...]:
    tree = ast.parse(file.read_bytes())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return tuple(
        (name, " ".join((ast.get_docstring(function) or "").split()))
        for function in functions
        for decorator in function.decorator_list
        if (name := _check_id(decorator))
    )


def _check_id(decorator: ast.expr) -> str | None:
    """The id in `@check("id", ...)`; None for another decorator."""
    match decorator:
        case ast.Call(func=ast.Name(id="check"), args=[ast.Constant(value=str(name)), *_]):
            return name
        case _:
            return None
