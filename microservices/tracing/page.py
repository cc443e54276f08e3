"""A trace as one HTML file that opens without a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from microservices.tracing.view import MILLI, View

HERE = Path(__file__).parent


def html(views: Sequence[View]) -> str:
    """The page; several requests stand side by side."""
    loader = FileSystemLoader(HERE)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("trace.html").render(views=views, milli=MILLI)
