"""The command: `make compare M=orders`, or `python -m docs.pair orders --html orders.html`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from .page import page
from .pairs import CHANGED_LINE, MODULES, UnknownModule, compare
from .terminal import show, show_totals


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=CHANGED_LINE)
@click.argument("module", required=False)
@click.option(
    "--html", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write a page for a projector."
)
def main(module: str | None, file: Path | None) -> None:
    """Show how MODULE differs between the two shops; without MODULE, how much each of the eight differs."""
    try:
        pairs = [compare(name) for name in ([module] if module else MODULES)]
    except UnknownModule as error:
        raise click.ClickException(str(error)) from None
    if file is not None:
        _write(file, page(pairs))
    elif module:
        show(pairs[0], Console())
    else:
        show_totals(pairs, Console())


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"Cannot write {file} ({error.strerror}); give another file.") from None
    click.echo(f"Wrote {file}; open it in a browser.")


if __name__ == "__main__":
    main(prog_name="python -m docs.pair")
