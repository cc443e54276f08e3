"""The command show: the two reference shops beside each other, as a page."""

from __future__ import annotations

import threading
from functools import partial

import click

from exercises.commands.ui import ready


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the page (default: a free one).")
@click.option("--no-browser", is_flag=True, help="Print the address only.")
@click.option("--shops-only", is_flag=True, help="Open the two shops without the page.")
@click.option(
    "--traces", is_flag=True, help="Trace every request, to follow one in both (needs `make extras`)."
)
def show(port: int | None, no_browser: bool, shops_only: bool, traces: bool) -> None:
    """Open the monolith and the microservices of this repository, and show both as a page, until Ctrl-C."""
    if shops_only:
        from exercises.checks.reference import both_open

        with both_open(click.echo, traced=traces):
            threading.Event().wait()
    from exercises.page.serving import serve
    from exercises.page.show import of_reference_shops

    serve(partial(of_reference_shops, traces), port, partial(ready, no_browser))
    click.echo("The page is closed, and both shops.")
