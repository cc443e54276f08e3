"""The accounts service."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from ..chassis.app import service
from ..chassis.runtime import runtime
from .keys import KeyFinder, ensure_signing_key
from .models import Base
from .routes import api
from .settings import Settings


def create_app(env: Mapping[str, str]) -> Flask:
    """The service as a WSGI application."""
    # Other services fetch the keys from this one; here they are in the database.
    app = service("accounts", env, api, base=Base, keys_from=KeyFinder, settings=Settings.from_env(env))
    ensure_signing_key(runtime(app).database)
    return app
