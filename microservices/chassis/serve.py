"""Serve one replica: `python -m microservices.chassis.serve microservices.<name>.app`.

The parent only watches: the application is imported in the worker that Granian forks, so that a service costs
its memory once.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from .config import Config, ConfigError

STOP_SECONDS = 10
USAGE = "Give the module to serve: python -m microservices.chassis.serve microservices.catalog.app"


def main(arguments: list[str]) -> int:
    """Serve until told to stop; the exit status."""
    try:
        target, config = _read(arguments)
        _refuse_taken_port(config.host, config.port)
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - for the person who started it
        return 2
    _serve(target, config)
    return 0


def load(target: str) -> Callable[..., Any]:
    """The application, made in the worker, with its loops started."""
    from .background import start_loops
    from .observability import configure_logging

    try:
        app = importlib.import_module(target).create_app(os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - for the person who started it
        sys.exit(2)
    config: Config = app.extensions["config"]
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


def _serve(target: str, config: Config) -> None:
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server.mp import MPServer

    MPServer(
        target,
        address=config.host,
        port=config.port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=config.threads,
        backpressure=512,
        websockets=False,
        log_level=LogLevels.critical,
        workers_kill_timeout=STOP_SECONDS,
    ).serve(target_loader=load)


def _refuse_taken_port(host: str, port: int) -> None:
    """Granian shares a port with whoever listens there already: half of the requests would go astray."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"Cannot listen on {host}:{port} ({error.strerror}); set SHOP_PORT to a free one."
            ) from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
