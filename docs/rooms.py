"""The map of the repository: each folder with code, its purpose from its docstring, and its modules."""  # noqa: INP001 -- docs/ is no package: this is run from a checkout, never installed

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("monolith", "microservices", "loadtests", "exercises")
APART = {"tests", "start", "solution", "alt", "wrong"}


def repository_map() -> str:
    """A table for each of the four programs."""
    return "\n".join("\n".join(_table(ROOT / part)) for part in PARTS)


def rooms(part: Path) -> list[Path]:
    """The packages of a program, the program itself first, without tests and the overlays of the exercises."""
    found = (file.parent for file in part.rglob("__init__.py"))
    return sorted(folder for folder in found if not APART & set(folder.relative_to(ROOT).parts))


def _table(part: Path) -> Iterator[str]:
    yield f"### {part.name}/"
    yield ""
    yield "| folder | what is done there | modules |"
    yield "|---|---|---|"
    for folder in rooms(part):
        path = folder.relative_to(ROOT).as_posix()
        yield f"| [{path}/](../{path}) | {_purpose(folder)} | {', '.join(_modules(folder))} |"
    yield ""


def _purpose(folder: Path) -> str:
    """The first paragraph of the package's docstring."""
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.partition("\n\n")[0].split()).replace("|", "\\|")


def _modules(folder: Path) -> list[str]:
    return [f"`{file.stem}`" for file in sorted(folder.glob("*.py")) if not file.stem.startswith("__")]
