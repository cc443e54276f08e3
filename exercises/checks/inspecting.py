"""What a check can read in a workspace: texts, syntax trees, imports. A file that cannot be read is "not yet"."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from exercises import files
from exercises.checks.checking import Import, NotYet

WHY_PRESENT = "The task names this file, and other parts need it."
WHY_PYTHON = "A process that needs this file cannot start when Python cannot read it."


def text_of(root: Path, relpath: str) -> str:
    """The file's text."""
    content = files.read(root / relpath)
    if content is None:
        raise NotYet(f"read {relpath}", f"a file {relpath}", "there is none", WHY_PRESENT, relpath)
    return content.decode("utf-8-sig", errors="replace")  # Python reads a file with a BOM, too


def tree_of(root: Path, relpath: str) -> ast.Module:
    """The file's syntax tree."""
    try:
        return ast.parse(text_of(root, relpath), relpath)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f"{relpath}, line {line}" if line else relpath
        said = getattr(error, "msg", str(error))
        raise NotYet(f"read {relpath}", "Python", f"{said} in {where}", WHY_PYTHON, where) from None


def imports_of(root: Path, relpath: str) -> list[Import]:
    """Every import of a file or of the files below a folder, also those inside functions."""
    if (root / relpath).is_dir():
        names = [f"{relpath}/{name}" for name in files.list_files(root / relpath, (*files.IGNORED, "tests"))]
        return [found for name in names if name.endswith(".py") for found in _imports(root, name)]
    return list(_imports(root, relpath))


def _imports(root: Path, relpath: str) -> Iterator[Import]:
    package = list(Path(relpath).with_suffix("").parts)[:-1]
    for node in ast.walk(tree_of(root, relpath)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(Path(relpath), node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - (node.level - 1)] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(
                    Path(relpath), node.lineno, f"{source}.{alias.name}" if alias.name != "*" else source
                )
