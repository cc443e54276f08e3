"""What a check can read in a workspace: texts, syntax trees, imports. What cannot be read is "not yet"."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from exercises import files
from exercises.checks.checking import Import, NotYet

WHY_PRESENT = "The task names this file, and other parts rely on it."
WHY_PYTHON = "A file that Python cannot read stops every process that needs it."


def text_of(root: Path, place: str) -> str:
    """The file's text."""
    content = files.read(root / place)
    if content is None:
        raise NotYet(f"read {place}", f"a file {place}", "there is none", WHY_PRESENT, place)
    return content.decode(errors="replace")


def tree_of(root: Path, place: str) -> ast.Module:
    """The file, parsed."""
    try:
        return ast.parse(text_of(root, place), place)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f"{place}, line {line}" if line else place
        said = getattr(error, "msg", str(error))
        raise NotYet(f"read {place}", "Python", f"{said} in {where}", WHY_PYTHON, where) from None


def imports_of(root: Path, place: str) -> list[Import]:
    """Every import below the place, those inside functions too."""
    if (root / place).is_dir():
        names = [f"{place}/{name}" for name in files.list_files(root / place, (*files.IGNORED, "tests"))]
        return [found for name in names if name.endswith(".py") for found in _imports(root, name)]
    return list(_imports(root, place))


def _imports(root: Path, place: str) -> Iterator[Import]:
    package = list(Path(place).with_suffix("").parts)[:-1]
    for node in ast.walk(tree_of(root, place)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(Path(place), node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - (node.level - 1)] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(
                    Path(place), node.lineno, f"{source}.{alias.name}" if alias.name != "*" else source
                )
