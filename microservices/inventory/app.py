"""The inventory service."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from ..chassis.app import service
from .models import Base
from .routes import api


def create_app(env: Mapping[str, str]) -> Flask:
    """The service as a WSGI application."""
    return service("inventory", env, api, base=Base, keys_from="accounts")
