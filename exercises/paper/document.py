"""Fills a template of this folder: one HTML file with everything in it, that loads nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from exercises.course.diagrams import as_text

FOLDER = Path(__file__).parent


def filled(template: str, **values: object) -> str:
    """The document that `template` makes of the values."""
    return _templates().get_template(template).render(**values)


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.globals["included"] = _included
    templates.filters["picture"] = as_text
    return templates


def _included(name: str) -> Markup:
    return Markup((FOLDER / name).read_text(encoding="utf-8"))  # noqa: S704 -- a file of this folder
