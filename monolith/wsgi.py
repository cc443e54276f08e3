"""Loads the shop inside the server's worker process; this module itself imports nothing of it."""

from __future__ import annotations

from flask import Flask


def load() -> Flask:
    """The application, with logging set up for this process."""
    import os

    from .app import serving_app
    from .chassis.config import Config
    from .chassis.observability import configure_logging

    configure_logging(Config.from_env(os.environ).log_level)
    return serving_app()
