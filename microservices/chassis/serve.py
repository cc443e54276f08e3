"""Serve one replica: `python -m microservices.chassis.serve microservices.<name>.app`.

The service is imported in the worker, see server.py.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from .config import Config, ConfigError
from .server import require_free_port, serve

USAGE = "Give the module to serve: python -m microservices.chassis.serve microservices.catalog.app"


def main(arguments: list[str]) -> int:
    """Serve until told to stop; returns the exit status."""
    try:
        target, config = _read(arguments)
        require_free_port(config.host, config.port, "set SHOP_PORT to a free one")
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - for the person who started it
        return 2
    serve(
        target,
        load,
        config.host,
        config.port,
        config.threads,
        drain_file=config.drain_file,
        drain_seconds=config.drain_seconds,
    )
    return 0


def load(target: str) -> Callable[..., Any]:
    """The application, made in the worker, with its loops started."""
    from .background import start_loops
    from .observability import configure_logging
    from .runtime import runtime

    try:
        app = importlib.import_module(target).create_app(os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - for the person who started it
        sys.exit(2)
    config = runtime(app).config
    configure_logging(config.service, config.log_level)
    start_loops(app)
    wsgi: Callable[..., Any] = app.wsgi_app
    return wsgi


def _read(arguments: list[str]) -> tuple[str, Config]:
    if len(arguments) != 1 or arguments[0].count(".") < 1:
        raise ConfigError(USAGE)
    target = arguments[0]
    try:
        found = find_spec(target)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise ConfigError(f"There is no module {target}. {USAGE}")
    return target, Config.from_env(target.split(".")[-2], os.environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
