"""The `monolith` command: serve, seed, routes, dataset.

Imports happen inside the commands: `serve` must not load the shop in the parent process, which only supervises.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from urllib.parse import unquote

import click

from .chassis.config import Config, ConfigError


def main() -> None:
    """Run the command; an error of the user ends with one sentence and exit status 1."""
    try:
        cli(prog_name="monolith")
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """The shop as one block: one process, one database, one checkout transaction."""


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on (default: SHOP_PORT or 8000).")
def serve(host: str, port: int | None) -> None:
    """Serve the shop until Ctrl-C."""
    from .chassis import server
    from .wsgi import load

    config = Config.from_env(os.environ if port is None else {**os.environ, "SHOP_PORT": str(port)})
    _require_a_shop(config)
    server.require_free_port(host, config.port, "choose another with --port")
    print(f"The monolith starts on http://{host}:{config.port} (Ctrl-C ends it).", flush=True)
    server.serve(
        "monolith.app",
        load,
        host,
        config.port,
        config.threads,
        drain_file=config.drain_file,
        drain_seconds=config.drain_seconds,
    )


@cli.command()
@click.option("--if-empty", is_flag=True, help="Leave a database that has data as it is.")
def seed(if_empty: bool) -> None:
    """Fill the database with the shop's data (made once, then copied)."""
    from sqlalchemy import make_url

    from .dataset import Sizes
    from .seed import seed as fill

    config = Config.from_env(os.environ)
    if if_empty and _has_customers(config):
        print("The shop has data; it stays as it is.")
        return
    started = time.perf_counter()
    fill(config, Sizes.from_env(os.environ))
    where = make_url(config.database_url).render_as_string(hide_password=True)
    print(f"Seeded {where} in {time.perf_counter() - started:.1f} s.")


@cli.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def dataset(folder: Path) -> None:
    """Write the data set as JSON lines into FOLDER, for the services of the split shop."""
    from .dataset import Sizes
    from .seed import export

    export(folder, Sizes.from_env(os.environ))


@cli.command()
def routes() -> None:
    """List every route, the module that answers it and what it does."""
    from tempfile import TemporaryDirectory

    from rich.console import Console
    from rich.table import Table

    from .app import create_app
    from .chassis.runtime import runtime

    with TemporaryDirectory() as home:
        app = create_app(Config.from_env({"SHOP_HOME": home}))
        runtime(app).database.dispose()
    table = Table("method", "path", "module", "what it does")
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: (rule.rule, sorted(rule.methods or ()))):
        methods = " ".join(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))
        what = (app.view_functions[rule.endpoint].__doc__ or "").strip().split("\n")[0]
        module = rule.endpoint.partition(".")[0] if "." in rule.endpoint else "-"
        table.add_row(methods, rule.rule, module, what)
    Console().print(table)


def _has_customers(config: Config) -> bool:
    """Whether the database holds a shop; in one that a replica only created nobody is registered."""
    from sqlalchemy import text

    from .chassis.database import Database

    database = Database(config.database_url)
    try:
        database.create_tables()
        with database.reading() as db:
            return db.execute(text("SELECT 1 FROM customers LIMIT 1")).first() is not None
    finally:
        database.dispose()


def _require_a_shop(config: Config) -> None:
    # SQLAlchemy would read the URL as well, but takes 20 MB in this process, which only supervises.
    path = config.database_url.removeprefix("sqlite:///")
    file = unquote(path.partition("?")[0])
    if path != config.database_url and not Path(file).exists():
        raise ConfigError(f"There is no shop in {file} yet; run `monolith seed` first.")


if __name__ == "__main__":
    main()
