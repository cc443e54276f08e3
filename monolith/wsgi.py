"""Loads the shop inside the server's worker process; this module itself imports nothing of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def load(_target: str) -> Callable[..., Any]:
    """The WSGI application, with logging set up for this process."""
    import os

    from .app import serving_app
    from .chassis.config import Config, ConfigError
    from .chassis.observability import configure_logging

    configure_logging(Config.from_env(os.environ).log_level)
    try:
        wsgi: Callable[..., Any] = serving_app().wsgi_app
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - for the person who started it
        sys.exit(2)
    return wsgi
