"""The accounts service."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from microservices.accounts.keys import KeyFinder, ensure_signing_key
from microservices.accounts.models import Base
from microservices.accounts.routes import api
from microservices.chassis.app import service
from microservices.chassis.config import whole_number
from microservices.chassis.tokens import TokenVerifier


def create_app(env: Mapping[str, str]) -> Flask:
    """The service as a WSGI application."""
    app = service("accounts", env, api, base=Base)
    app.extensions["token_minutes"] = whole_number(env, "SHOP_TOKEN_MINUTES", 30, 1, 1440)
    database = app.extensions["database"]
    ensure_signing_key(database)
    # Everybody else fetches the keys from here; here they are in the database.
    app.extensions["token_verifier"] = TokenVerifier(KeyFinder(database))
    return app
