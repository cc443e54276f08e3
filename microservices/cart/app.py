"""The cart service."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from ..chassis.app import service
from .models import Base
from .routes import api


def create_app(env: Mapping[str, str]) -> Flask:
    """The service as a WSGI application."""
    return service("cart", env, api, base=Base, calls=["catalog"], keys_from="accounts")
