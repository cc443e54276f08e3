"""The orders service."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from flask import Flask

from ..chassis.app import service
from ..chassis.background import add_loop
from .cards import ensure_key
from .checkout import recover
from .clients import CALLS
from .models import Base
from .routes import api
from .settings import Settings

RECOVERY_SECONDS = 1.0


def create_app(env: Mapping[str, str]) -> Flask:
    """The service as a WSGI application, which finishes interrupted checkouts while it is served."""
    settings = Settings(ensure_key(Path(env.get("SHOP_HOME", ".shop")) / "keys" / "orders.key"))
    app = service("orders", env, api, base=Base, calls=CALLS, keys_from="accounts", settings=settings)
    add_loop(app, "recovery", recover, RECOVERY_SECONDS)
    return app
