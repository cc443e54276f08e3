"""The payments service."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from ..chassis.app import service
from ..chassis.config import seconds
from .models import Base
from .routes import api


def create_app(env: Mapping[str, str]) -> Flask:
    """The service as a WSGI application."""
    app = service("payments", env, api, base=Base)
    app.extensions["payment_timeout"] = seconds(env, "SHOP_PAYMENT_TIMEOUT_SECONDS", 1.0)
    return app
