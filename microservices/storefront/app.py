"""The storefront service."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from ..chassis.app import service
from .clients import CALLS
from .routes import pages
from .settings import Settings


def create_app(env: Mapping[str, str]) -> Flask:
    """The service as a WSGI application."""
    settings = Settings.from_env(env)
    return service("storefront", env, pages, calls=CALLS, keys_from="accounts", settings=settings)
