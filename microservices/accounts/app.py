"""The accounts service."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from ..chassis.app import service
from ..chassis.config import whole_number
from ..chassis.tokens import TokenVerifier
from .keys import KeyFinder, ensure_signing_key
from .models import Base
from .routes import api


def create_app(env: Mapping[str, str]) -> Flask:
    """The service as a WSGI application."""
    app = service("accounts", env, api, base=Base)
    app.extensions["token_minutes"] = whole_number(env, "SHOP_TOKEN_MINUTES", 30, 1, 1440)
    database = app.extensions["database"]
    ensure_signing_key(database)
    # Everybody else fetches the keys from here; here they are in the database.
    app.extensions["token_verifier"] = TokenVerifier(KeyFinder(database))
    return app
